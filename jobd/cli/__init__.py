"""jobctl: the command line, a client of the HTTP facade like any other.

It starts within 150 ms: only click and the standard library are imported, and what only some
commands need (tomllib, yaml) when they need it.
"""
