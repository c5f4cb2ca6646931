"""Readers of other schedulers' files: one module a format, each gives specs and a report."""
