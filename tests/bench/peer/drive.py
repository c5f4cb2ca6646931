"""Submit N jobs to a peer from 16 threads and wait for their ends; prints the wall seconds.

Run: python -m tests.bench.peer.drive rq|celery N
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["drive"]

_SUBMITTERS = 16
Over = Callable[[], bool]


def _rq(count: int, pool: ThreadPoolExecutor) -> Over:
    from redis import Redis  # type: ignore[import-not-found]
    from rq import Queue  # type: ignore[import-not-found]

    queue = Queue(connection=Redis(unix_socket_path=os.environ["PEER_REDIS"]))
    before = queue.finished_job_registry.count
    list(pool.map(lambda _: queue.enqueue("tests.bench.peer.work.run_true"), range(count)))
    return lambda: queue.finished_job_registry.count >= before + count


def _celery(count: int, pool: ThreadPoolExecutor) -> Over:
    from tests.bench.peer.celery_app import run

    results = list(pool.map(lambda _: run.delay(), range(count)))
    left = [result.id for result in results]
    client = run.backend.client

    def over() -> bool:
        found = client.exists(*(f"celery-task-meta-{id_}" for id_ in left))
        return bool(found == len(left))

    return over


def drive(peer: str, count: int) -> float:
    """Return the seconds from the first submit to the last end."""
    with ThreadPoolExecutor(_SUBMITTERS) as pool:
        began = time.perf_counter()
        over = {"rq": _rq, "celery": _celery}[peer](count, pool)
        while not over():
            time.sleep(0.02)
        return time.perf_counter() - began


if __name__ == "__main__":
    print(drive(sys.argv[1], int(sys.argv[2])))
