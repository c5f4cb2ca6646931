"""The composition root: the one place that knows both the actors and the backends.

`node` puts a node together; `stores` copies the state of a stopped one, and needs nothing of it.
"""
