"""Runs of random pipelines under random schedules of crashes, against an independent oracle."""
