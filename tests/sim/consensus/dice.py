"""Random numbers as of `random.Random`, the same ones, without the detours of its integers."""

from __future__ import annotations

import random

__all__ = ["Dice"]


class Dice(random.Random):
    """The standard library's generator. A run draws thousands of small integers."""

    def randint(self, a: int, b: int) -> int:
        """Return an integer from a to b, both of them possible."""
        size = b - a + 1
        assert size > 0, f"an empty range, {a} to {b}"
        bits = size.bit_length()
        drawn = self.getrandbits(bits)
        while drawn >= size:
            drawn = self.getrandbits(bits)
        return a + drawn
