"""Pipelines: their specs, their names, their doors."""
