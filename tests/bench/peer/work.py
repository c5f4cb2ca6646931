"""The job of the peers: the same `true`, as a process of its own."""

from __future__ import annotations

import subprocess

__all__ = ["run_true"]


def run_true() -> None:
    """Run it and fail if it fails."""
    subprocess.run(["/usr/bin/true"], check=True)
