"""The client library: a cluster's API from Python, over ZeroMQ.

    from jobd.client import Client

    with Client() as client:
        job = client.submit({"name": "hello", "type": "command", "shell": "echo hello"}, wait=True)

`Client` blocks in the caller's thread, `AsyncClient` has the same verbs with awaits. What they
raise is in `actors.errors`.
"""

from __future__ import annotations

from jobd.client.async_client import AsyncClient
from jobd.client.client import Client
from jobd.client.follow import Gap

__all__ = ["AsyncClient", "Client", "Gap"]
