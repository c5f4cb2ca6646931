"""The jobs of the peers: the same `true`, as a process of its own, and a number to reckon."""

from __future__ import annotations

import subprocess

__all__ = ["fib", "run_true"]


def fib(n: int) -> int:
    """Reckon the n-th Fibonacci number the slow way."""
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def run_true() -> None:
    """Run it and fail if it fails."""
    subprocess.run(["/usr/bin/true"], check=True)
