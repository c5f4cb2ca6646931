"""What a job supervisor could not do, for a person to find in `run/jobs.err`."""

from __future__ import annotations

import contextlib
import sys

__all__ = ["complain"]


def complain(what: str) -> None:
    """Write a line; that disk may be full too, which must end nothing."""
    with contextlib.suppress(OSError):
        print(what, file=sys.stderr, flush=True)  # noqa: T201
