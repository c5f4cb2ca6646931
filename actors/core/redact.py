"""Masks what must not be seen in a stream of bytes that comes in pieces.

Every byte that lies within an occurrence of a pattern is masked, wherever the pieces are cut; each
run of masked bytes becomes one `MASK`. So two secrets that overlap leave nothing of either.

Invariants
1. The pieces put together are what a search of the whole stream would give, but for 3.
2. At most WINDOW - 1 bytes are held back: the longest end of the stream with which a pattern
   begins. Where no pattern begins there, nothing is.
3. `flush` shows a held end of less than SHORTEST bytes, unless it follows what was masked, so that
   a prompt is seen. It stays part of the search: of an occurrence that much is seen and no more.

A pattern longer than WINDOW is looked for by its windows, the last one at its end, and any of them
is masked by itself. It bounds 2, and it finds a long secret that was broken into lines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

__all__ = ["MASK", "SHORTEST", "WINDOW", "Redactor"]

MASK: Final = b"***"
SHORTEST: Final = 4  # a shorter pattern would mask half the log
WINDOW: Final = 76  # the width at which `base64` breaks its lines (RFC 2045 6.8)

_Span = tuple[int, int]


class Redactor:
    """One stream. Patterns below SHORTEST bytes are left out."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        windows = {
            window for pattern in patterns if len(pattern) >= SHORTEST for window in _cut(pattern)
        }
        self._patterns = sorted(windows)
        self._longest = max(map(len, windows), default=1)
        # An end of the stream outside of these can't be the beginning of a pattern.
        self._inner = frozenset(byte for window in windows for byte in window[:-1])
        self._held = b""
        self._done = 0  # bytes of `_held` that were shown or masked already
        self._masking = False  # the last byte that came out was masked

    @property
    def has_held(self) -> bool:
        """Whether there is something for `flush`."""
        return self._done < len(self._held)

    def finds(self, data: bytes) -> bool:
        """Say whether a pattern occurs in these bytes."""
        return any(pattern in data for pattern in self._patterns)

    def feed(self, data: bytes) -> bytes:
        """Take a piece and return what can be told by now."""
        data = self._held + data
        settled = len(data) - self._open_end(data)
        out = self._mask(data, self._spans(data), settled)
        self._held = data[settled:]
        return out

    def flush(self) -> bytes:
        """Return what is held, if it is too little to tell of a secret."""
        known = self._masking or len(self._held) >= SHORTEST
        return b"" if known else self._show()

    def close(self) -> bytes:
        """Return what is held: the stream ends, and with it what might have become a pattern."""
        return self._show()

    def _show(self) -> bytes:
        shown, self._done = self._held[self._done :], len(self._held)
        self._masking = self._masking and not shown
        return shown

    def _open_end(self, data: bytes) -> int:
        """Return the length of the longest end of `data` with which a longer pattern begins."""
        if not data or data[-1] not in self._inner:
            return 0
        for length in range(min(self._longest - 1, len(data)), 0, -1):
            end = data[-length:]
            i = bisect_right(self._patterns, end)
            if i < len(self._patterns) and self._patterns[i].startswith(end):
                return length
        return 0

    def _spans(self, data: bytes) -> list[_Span]:
        """Return where patterns occur, in order."""
        spans: list[_Span] = []
        for pattern in self._patterns:
            size = len(pattern)
            start = data.find(pattern)
            while start >= 0:
                # The last occurrence that overlaps this one: a run of them is one span.
                last, seen = start, -1
                while last != seen:
                    seen, last = last, data.rfind(pattern, last, last + 2 * size - 1)
                spans.append((start, last + size))
                start = data.find(pattern, last + size)
        spans.sort()
        return spans

    def _mask(self, data: bytes, spans: list[_Span], settled: int) -> bytes:
        """Return `data` from where the last piece ended up to `settled`, its spans masked."""
        out = []
        at = self._done
        for start, end in spans:
            if start >= settled:
                break
            if at < start:
                out.append(data[at:start])
                self._masking = False
            if at < end:
                if not self._masking:
                    out.append(MASK)
                self._masking, at = True, end
        if at < settled:
            out.append(data[at:settled])
            self._masking, at = False, settled
        self._done = at - settled
        return b"".join(out)


def _cut(pattern: bytes) -> Iterable[bytes]:
    """Yield the windows of a pattern: side by side, and one at its end."""
    for start in range(0, max(len(pattern) - WINDOW, 0), WINDOW):
        yield pattern[start : start + WINDOW]
    yield pattern[-WINDOW:]
