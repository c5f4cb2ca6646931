"""Run a chain of N tasks that reckon fibo(n) and wait for its end; prints the wall seconds.

Run: python -m tests.bench.peer.chain N n
"""

from __future__ import annotations

import sys
import time

from tests.bench.peer.celery_app import fibo

__all__ = ["chain_of"]


def chain_of(count: int, n: int) -> float:
    """Return the seconds from the first task's submit to the last one's end."""
    from celery import chain  # type: ignore[import-not-found]

    began = time.perf_counter()
    chain(*(fibo.si(n) for _ in range(count))).delay().get(timeout=120, interval=0.002)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(chain_of(int(sys.argv[1]), int(sys.argv[2])))
