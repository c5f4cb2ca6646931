"""The API: routes as data and their typed handlers, whatever the transport.

HTTP (`jobd.http`) and the ZeroMQ door serve the same table, so that a scope, a check or a limit is
written once and holds at every door.
"""
