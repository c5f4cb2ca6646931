"""A node whose wall clock is off by as many milliseconds as a file says, read at every look.

    python -m tests.integration.bad_input.stepped FILE start --data DIR ...

The clock is the one that every actor and door has injected; it alone is replaced. The monotonic
clock is real, and so is the clock of the job supervisor, which times by the monotonic one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from actors.runtime.clock import SystemClock
from jobd.__main__ import main

__all__: list[str] = []


def install(offset: Path) -> None:
    """Have every clock of this process be off."""

    def now_ms(self: SystemClock) -> int:
        return time.time_ns() // 1_000_000 + int(offset.read_text())

    SystemClock.now_ms = now_ms  # type: ignore[method-assign]


if __name__ == "__main__":
    install(Path(sys.argv.pop(1)))
    main()
