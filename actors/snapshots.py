"""The donor of snapshots: it holds a checkpoint of the image ready, and hands it out page by page.

One checkpoint at a time, for as many as ask; another is made when somebody needs a later one, or
when nobody has asked for a while. The pages travel on the bulk lane, so they delay nobody's votes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import msgspec

from actors import addresses, limits
from actors.core.consensus.position import decode_position
from actors.core.ports import Row, StateStore
from actors.core.snapshot import NextRows, OpenSnapshot, SessionsOf, Snapshot, encode_rows
from actors.errors import JobdError, NotFound, Unavailable
from actors.image_writer import CopyImage, ImageCopied
from actors.runtime import (
    After,
    Ask,
    Context,
    Effect,
    Effects,
    Fail,
    Reply,
    ReplyTo,
    ThreadActor,
    handles,
)
from actors.runtime.signals import Answered, Failed

__all__ = ["Outgoing", "Snapshots"]

_SCAN_ROWS: Final = 256
_COPY_S: Final = 120.0
_BEHIND_S: Final = 0.3  # the image is behind what is executed by less


class Outgoing(Protocol):
    """Where a donor keeps its checkpoint on disk. Calls block."""

    def make_room(self) -> Path:
        """Drop the checkpoint that there is; return the path for another."""

    def open(self) -> StateStore:
        """Open the checkpoint that was written there."""

    def drop(self) -> None:
        """Drop the checkpoint, if there is one."""


class _Copy(msgspec.Struct, frozen=True):
    pass


class _Forget(msgspec.Struct, frozen=True):
    id: str


class Snapshots(ThreadActor):
    """Answers other nodes; in between it has nothing on disk."""

    def __init__(self, outgoing: Outgoing) -> None:
        super().__init__()
        self._outgoing = outgoing
        self._asked: list[tuple[int, ReplyTo]] = []  # what waits for the checkpoint being made
        self._is_making = False
        self._store: StateStore | None = None
        self._present: Snapshot | None = None
        self._sessions = b""

    def on_start(self) -> Effects:
        """Drop what an earlier process left."""
        self._outgoing.drop()
        return None

    # -- a checkpoint

    @handles(OpenSnapshot)
    def open_snapshot(self, message: OpenSnapshot, context: Context) -> Iterator[Effect]:
        """Answer with the checkpoint that there is, or make one."""
        assert context.reply is not None, "OpenSnapshot is an ask"
        present = self._present
        if present is not None and present.index >= message.index:
            yield self._keep(present)
            yield Reply(context.reply, present)
            return
        self._asked.append((message.index, context.reply))
        if not self._is_making:
            self._is_making = True
            yield After(_BEHIND_S, _Copy(), key="copy")

    @handles(_Copy)
    def copy(self, message: _Copy, context: Context) -> Iterator[Effect]:
        """Have the image copied."""
        self._close()
        try:
            path = self._outgoing.make_room()
        except JobdError as error:
            yield from self._give_up(error)
            return
        yield Ask(addresses.IMAGE, CopyImage(str(path)), "copied", timeout_s=_COPY_S)

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        """Open the copy, and answer who waits for it."""
        try:
            present = self._open(message.value)
        except JobdError as error:
            yield from self._give_up(error)
            return
        self._is_making = False
        asked, self._asked = self._asked, []
        for index, reply in asked:
            if index <= present.index:
                yield Reply(reply, present)
            else:
                yield Fail(reply, Unavailable(f"this node has executed {present.index} commands"))
        yield self._keep(present)

    def _open(self, copied: ImageCopied) -> Snapshot:
        self._store = self._outgoing.open()
        stored = self._store.load()
        position = decode_position(stored.position)
        self._sessions = stored.sessions
        self._present = Snapshot(
            id=f"{position.index}-{copied.digest}",
            cluster=position.epoch.cluster,
            index=position.index,
            revision=stored.revision,
            keys=self._store.stats()["keys"],
            digest=copied.digest,
            position=stored.position,
            last_event=copied.last_event,
        )
        return self._present

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """Tell who waits that there is none."""
        return self._give_up(message.error)

    def _give_up(self, error: BaseException) -> Iterator[Effect]:
        self._is_making = False
        self._close()
        self._outgoing.drop()
        asked, self._asked = self._asked, []
        for _, reply in asked:
            yield Fail(reply, error)

    # -- its pages

    @handles(SessionsOf)
    def sessions_of(self, message: SessionsOf, context: Context) -> Iterator[Effect]:
        """Answer with the session tables."""
        found = self._found(message.id)
        if found is None:
            yield Fail(context.reply, _gone(message.id))
            return
        yield Reply(context.reply, self._sessions)
        yield self._keep(found[0])

    @handles(NextRows)
    def next_rows(self, message: NextRows, context: Context) -> Iterator[Effect]:
        """Answer with a page."""
        found = self._found(message.id)
        if found is None:
            yield Fail(context.reply, _gone(message.id))
            return
        present, store = found
        try:
            page = encode_rows(_page(store, message.after))
        except JobdError as error:
            yield Fail(context.reply, error)
            return
        yield Reply(context.reply, page)
        yield self._keep(present)

    def _found(self, id_: str) -> tuple[Snapshot, StateStore] | None:
        if self._store is None or self._present is None or self._present.id != id_:
            return None
        return self._present, self._store

    def _keep(self, present: Snapshot) -> Effect:
        """Have it for a while from now on."""
        return After(limits.SNAPSHOT_KEEP_S, _Forget(present.id), key="forget")

    @handles(_Forget)
    def forget(self, message: _Forget, context: Context) -> Effects:
        """Drop a checkpoint that nobody asks for."""
        if self._found(message.id) is not None and not self._is_making:
            self._close()
            self._outgoing.drop()
        return None

    def _close(self) -> None:
        store, self._store, self._present = self._store, None, None
        if store is not None:
            store.close()

    def on_stop(self) -> None:
        """Leave nothing behind."""
        self._close()
        self._outgoing.drop()


def _gone(id_: str) -> NotFound:
    return NotFound(f"the snapshot {id_} is here no more", remedy="ask for another")


def _page(store: StateStore, after: str) -> list[Row]:
    """Return the rows behind a key, at least one if there is one, up to SNAPSHOT_PAGE_BYTES."""
    page: list[Row] = []
    size = 0
    while size < limits.SNAPSHOT_PAGE_BYTES:
        start = f"{page[-1].key if page else after}\0" if page or after else ""
        rows = store.scan(start, limit=_SCAN_ROWS)
        for row in rows:
            assert row.value is not None, "an image holds no deleted keys"
            size += len(row.key) + len(row.value)
            if page and size > limits.SNAPSHOT_PAGE_BYTES:
                return page
            page.append(row)
        if len(rows) < _SCAN_ROWS:
            break
    return page
