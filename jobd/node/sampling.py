"""Samples of how a node is doing, for its history."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from actors.core.history import NodeSample
from actors.core.store.state import State

__all__ = ["Sampler"]


class Sampler:
    """Takes samples of this process and its state. The first covers the time since it was made."""

    def __init__(self, state: State, node: str, slots: int, queued: Callable[[], int]) -> None:
        self._state = state
        self._node = node
        self._slots = slots
        self._queued = queued
        self._before = (time.monotonic(), time.process_time())

    def __call__(self, now_ms: int) -> NodeSample:
        """Return a sample with this time."""
        now = (time.monotonic(), time.process_time())
        (wall, cpu), self._before = self._before, now
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return NodeSample(
            time_ms=now_ms,
            node=self._node,
            revision=self._state.revision,
            slots=self._slots,
            running=self._state.count("attempt"),
            queued=self._queued(),
            cpu=round((now[1] - cpu) / max(now[0] - wall, 1e-3), 4),
            rss_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
        )
