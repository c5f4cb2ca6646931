"""What the checker raises when an invariant is broken."""

from __future__ import annotations

__all__ = ["ViolationError"]


class ViolationError(Exception):
    """`invariant` is its letter, as docs/internals/job-lifecycle.md lists them."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
