"""A line on stderr that says what is waited for, and goes away again. On a terminal only."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from jobd.cli.client import Client
from jobd.cli.failure import Failure

__all__ = ["StatusLine", "telling_why"]

FIRST_S: Final = 0.7  # what is over by then needs no line
AGAIN_S: Final = 1.0
_NOT_STARTED: Final = ("scheduled", "waiting", "pending")


class StatusLine:
    """One line that is written over itself; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self.on = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.closed = threading.Event()
        self._written = False
        self._lock = threading.Lock()

    def show(self, text: str) -> None:
        """Write the line anew, cut to the terminal's width; once it is closed, nothing."""
        width = shutil.get_terminal_size().columns - 1
        with self._lock:
            if self.on and not self.closed.is_set():
                self._write(text if len(text) <= width else f"{text[: width - 1]}…")

    def clear(self) -> None:
        """Take the line away, for what is to be written there."""
        with self._lock:
            if self._written:
                self._write("")

    def close(self) -> None:
        """Take the line away for good."""
        self.closed.set()
        self.clear()

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
        self._written = bool(text)


@contextmanager
def telling_why(client: Client, job_id: str) -> Iterator[StatusLine]:
    """Say from time to time how a job stands, and why it does not run, until the line is closed.

    A thread asks, since whoever waits is in a read.
    """
    line = StatusLine()

    def tell() -> None:
        began, pause = time.monotonic(), FIRST_S
        while not line.closed.wait(pause):
            pause = AGAIN_S
            with suppress(Failure):
                line.show(f"{_standing(client, job_id)} ({time.monotonic() - began:.0f}s)")

    if line.on:
        threading.Thread(target=tell, daemon=True).start()
    try:
        yield line
    finally:
        line.close()


def _standing(client: Client, job_id: str) -> str:
    job: dict[str, Any] = client.get(f"/jobs/{job_id}")
    text = f"job {job['name']} is {job['state']}"
    if job["state"] in _NOT_STARTED:
        reasons = client.get(f"/jobs/{job_id}/explain")["reasons"]
        return f"{text}: {reasons[0]['message']}" if reasons else text
    if job["task_states"]:
        counts = ", ".join(f"{count} {state}" for state, count in job["task_states"].items())
        return f"{text}: {counts} of {job['tasks']} tasks"
    return text
