"""The actor that keeps a disk from getting full: old job logs go first, then nothing new is taken.

At DISK_LOGS_PERCENT in use the oldest job logs go until less is in use or none is left. At
DISK_PERCENT the replica refuses what takes on something new, while what runs may still end and
anybody may still delete: a full disk, which refuses everything, is to be met by nobody. Both are
judged anew at every look, so all goes on by itself once there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from actors import addresses, limits
from actors.consensus_replica import Room
from actors.core.ports import DiskUsage
from actors.run_log import MakeRoom
from actors.runtime import After, Context, Effect, Effects, Tell, ThreadActor, handles

__all__ = ["DiskWatch"]

_LOOK_EVERY_S: Final = 2.0


class _Look(msgspec.Struct, frozen=True):
    pass


class DiskWatch(ThreadActor):
    """One per node. `usage` asks the file system of the data directory, and may block."""

    def __init__(self, usage: Callable[[], DiskUsage]) -> None:
        super().__init__()
        self._usage = usage

    def on_start(self) -> Effects:
        """Look at once: a node may come back on a disk that others have filled."""
        return self._look()

    @handles(_Look)
    def look(self, message: _Look, context: Context) -> Effects:
        """Look again."""
        return self._look()

    def _look(self) -> Iterator[Effect]:
        yield After(_LOOK_EVERY_S, _Look(), key="look")
        used, total = self._usage()
        yield Tell(addresses.REPLICA, Room(used * 100 < total * limits.DISK_PERCENT))
        over = used - total * limits.DISK_LOGS_PERCENT // 100
        if over >= 0:
            yield Tell(addresses.RUN_LOG, MakeRoom(over + 1))
