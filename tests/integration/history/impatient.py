"""A node whose store lets ended jobs go after a second: `python -m … start …`."""

from __future__ import annotations

from actors.core.job.evict import Retention
from jobd.__main__ import main

__all__: list[str] = []

if __name__ == "__main__":
    Retention.__init__.__defaults__ = (1, 20_000)
    main()
