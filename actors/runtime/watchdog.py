"""The watchdog: a thread that notices a turn which holds up the loop, and says where it is.

The loop only counts its turns; the thread compares the count every half of TURN_WARN_MS. A turn
that is still the same after two such pauses has taken too long: its stack is logged, once.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final

from actors import limits

__all__ = ["Watchdog"]

_log: Final = logging.getLogger(__name__)
_LOOKS: Final = 2  # per TURN_WARN_MS


class Watchdog:
    """Watches one thread. `turn()` returns (number, address) of the turn under way, or None."""

    def __init__(self, thread: int, turn: Callable[[], tuple[int, str] | None]) -> None:
        self.slow_turns = 0
        self._watched = thread
        self._turn = turn
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="jobd-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        pause_s = limits.TURN_WARN_MS / 1000 / _LOOKS
        last, seen = None, 0
        while not self._stopped.wait(pause_s):
            turn = self._turn()
            seen = seen + 1 if turn is not None and turn == last else 0
            last = turn
            if turn is not None and seen == _LOOKS:
                self._report(turn[1])

    def _report(self, address: str) -> None:
        self.slow_turns += 1
        frame = sys._current_frames().get(self._watched)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        _log.warning("a turn of %s takes more than %d ms:\n%s", address, limits.TURN_WARN_MS, stack)
