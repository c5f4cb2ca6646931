"""The history of a node in DuckDB: the one place that imports it.

One process may have the file open, so all of it is behind the history process.
"""
