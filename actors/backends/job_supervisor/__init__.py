"""The job supervisor: the process that spawns and holds command jobs and outlives the node.

`client` is the node's side; everything else runs in the process (`python -m` this package). It is
one thread and one epoll loop, imports neither asyncio nor the runtime, and never waits for a node.
docs/internals/job-supervisor.md tells the whole story.
"""

from __future__ import annotations

__all__: list[str] = []
