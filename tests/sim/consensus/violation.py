"""What the simulation raises when an invariant is broken."""

from __future__ import annotations

__all__ = ["ViolationError"]


class ViolationError(Exception):
    """`invariant` is its number, as docs/internals/consensus-proof.md lists them."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
