"""What breaks an invariant."""

from __future__ import annotations

__all__ = ["ViolationError"]


class ViolationError(Exception):
    """`invariant` is its letter or number, as the internals list them."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(invariant, text)  # both, so that it comes out of another process
        self.invariant = invariant
        self._text = text

    def __str__(self) -> str:
        return f"{self.invariant}: {self._text}"
