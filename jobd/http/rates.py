"""Token buckets: how often whoever may ask (draft-ietf-httpapi-ratelimit-headers-11).

A bucket holds `burst` requests and gets `per_s` more each second. Whoever has a token has a bucket
of its own; without one it is the remote address. Buckets that are full again are dropped.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Rates"]

_MOST_BUCKETS = 10_000


class Rates:
    """The buckets of one policy; `clock` gives seconds that never step back."""

    def __init__(self, name: str, per_s: int, burst: int, clock: Callable[[], float]) -> None:
        self._name = name
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # (requests left, as of)

    def take(self, who: str) -> int | None:
        """Take one request out of a bucket; return what is left, None when it was empty."""
        now_s = self._clock()
        left, as_of_s = self._buckets.get(who, (float(self._burst), now_s))
        left = min(self._burst, left + (now_s - as_of_s) * self._per_s)
        if left < 1:
            return None
        if who not in self._buckets and len(self._buckets) >= _MOST_BUCKETS:
            self._drop_full(now_s)
        self._buckets[who] = (left - 1, now_s)
        return int(left - 1)

    def headers(self, left: int) -> dict[str, str]:
        """Return the fields that tell a client of its bucket."""
        return {
            "RateLimit-Policy": f'"{self._name}";q={self._burst};w={self.refill_s}',
            "RateLimit": f'"{self._name}";r={left};t={self.refill_s}',
        }

    @property
    def refill_s(self) -> int:
        """Whole seconds in which an empty bucket is full again."""
        return max(1, round(self._burst / self._per_s))

    def _drop_full(self, now_s: float) -> None:
        """Forget who has not asked for as long as a bucket takes to fill; else the oldest."""
        kept = {w: b for w, b in self._buckets.items() if now_s - b[1] < self.refill_s}
        self._buckets = dict(list(kept.items())[-_MOST_BUCKETS // 2 :])
