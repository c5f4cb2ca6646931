"""The first step of a backup: a copy of everything, as of one moment, in the data directory.

`<data>/backups/<revision>/` is made within seconds, mostly of links, while the node goes on. Who
asked copies it to where it is to stay (`jobctl backup create`) and removes it. One that is left
over goes when the next is made, and when the node starts; one that is being copied is held by a
lock, and there is no other meanwhile.

Order: the history, then the state and the events of one revision, then files. A history that is
behind its state goes on from it; one ahead of it would tell what never happened. What the state
names is among the files by then, unless it was deleted since.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from actors import addresses
from actors.consensus_replica import Settle
from actors.core.history_port import CopyHistory
from actors.errors import Conflict, ReadOnly
from actors.history_store import WRITER
from actors.image_writer import CopyImage, ImageCopied
from actors.runtime import LoopHost
from jobd import __version__
from jobd.api.gateway import StagedBackup
from jobd.node.backup_files import ORIGIN, Origin, remove_staged, staging
from jobd.node.data_directory import NodeDirectory
from jobd.node.history_process import HistoryProcess

__all__ = ["Backups", "name_staged", "new_staging"]

_COPY_S: Final = 80.0  # the client waits for 90 s
_SPARE_BYTES: Final = 64 << 20


class Backups:
    """Stages backups of a running node, one at a time.

    `state_name` is what the image is called; `image_bytes` its size now; `copy_files` copies what
    is beside the state, in any thread.
    """

    def __init__(
        self,
        host: LoopHost,
        directory: NodeDirectory,
        history: HistoryProcess,
        *,
        engine: str,
        state_name: Callable[[], str],
        image_bytes: Callable[[], int],
        copy_files: Callable[[Path], None],
    ) -> None:
        self._host = host
        self._directory = directory
        self._history = history
        self._engine = engine
        self._state_name = state_name
        self._image_bytes = image_bytes
        self._copy_files = copy_files
        self._staging = asyncio.Lock()

    async def stage(self) -> StagedBackup:
        """Make a staged backup. Raises Conflict (one is being made), ReadOnly, ConfigError."""
        state_name = self._state_name()
        if self._staging.locked():
            raise Conflict("a backup is being made", remedy="try again when it is done")
        async with self._staging:
            self._need_room()
            data = self._directory.path
            try:
                return await self._stage(await asyncio.to_thread(new_staging, data), state_name)
            except BaseException:
                remove_staged(data)
                raise

    async def _stage(self, into: Path, state_name: str) -> StagedBackup:
        made_ms = self._host.clock.now_ms()
        await self._copy_history(into)
        copied = await self._copy_image(into, state_name)
        await asyncio.to_thread(self._copy_files, into)
        path = name_staged(into, self._directory, self._engine, copied, made_ms)
        return StagedBackup(str(path), copied.revision)

    async def _copy_history(self, into: Path) -> None:
        """Have history copied, if there is any: a node of which nothing has ended has none."""
        if (self._directory.path / "history").exists():
            message = CopyHistory(str(into / "history"))
            await self._history.ask(WRITER, message, timeout_s=_COPY_S)

    async def _copy_image(self, into: Path, state_name: str) -> ImageCopied:
        await self._host.ask(addresses.REPLICA, Settle(), timeout_s=_COPY_S)
        message = CopyImage(str(into / state_name), str(into / "events"))
        copied: ImageCopied = await self._host.ask(addresses.IMAGE, message, timeout_s=_COPY_S)
        return copied

    def _need_room(self) -> None:
        """A copy must not be what turns the node read-only."""
        history = self._directory.path / "history" / "jobd.duckdb"
        copied = self._image_bytes() + (history.stat().st_size if history.exists() else 0)
        needed = copied + _SPARE_BYTES
        free = shutil.disk_usage(self._directory.path).free
        if free < needed:
            raise ReadOnly(
                f"a backup needs {needed >> 20} MiB for a moment, the disk has {free >> 20} free",
                remedy="free some space",
            )


def new_staging(data: Path) -> Path:
    """Make the directory to stage a backup in; what an earlier one left is gone.

    Raises Conflict while somebody copies that.
    """
    if not remove_staged(data):
        raise Conflict("a backup is being copied", remedy="try again when it is done")
    into = staging(data) / "new"
    into.mkdir(mode=0o700, parents=True)
    return into


def name_staged(
    into: Path, directory: NodeDirectory, engine: str, copied: ImageCopied, made_ms: int
) -> Path:
    """Name what was staged after its revision, with a note of its origin; return its path."""
    origin = Origin(
        version=__version__,
        cluster=directory.cluster_id,
        node=directory.node_id,
        engine=engine,
        applied_index=copied.applied_index,
        revision=copied.revision,
        digest=copied.digest,
        made_ms=made_ms,
    )
    (into / ORIGIN).write_bytes(msgspec.json.encode(origin))
    return into.rename(into.with_name(str(origin.revision)))
