"""Celery's app, with its broker and its results in the Redis that PEER_REDIS names."""

from __future__ import annotations

import os

from celery import Celery  # type: ignore[import-not-found]

from tests.bench.peer.work import fib, run_true

__all__ = ["app", "fibo", "run"]

_redis = f"redis+socket://{os.environ['PEER_REDIS']}"
app = Celery("bench", broker=_redis, backend=_redis)
run = app.task(run_true, name="run_true", acks_late=True)
fibo = app.task(fib, name="fibo", acks_late=True)
