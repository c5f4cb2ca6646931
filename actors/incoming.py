"""The receiver of snapshots: it builds a new image beside the present one, page by page.

A page that does not come is asked for again, and again after a pause; a donor that has the snapshot
no more, or stays away, is left for another one, and what came is thrown away. When the image is
complete and durable, the node restarts in place on it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from actors.core.ports import StateStore
from actors.core.snapshot import (
    Arrived,
    NextRows,
    OpenSnapshot,
    SessionsOf,
    Snapshot,
    decode_rows,
)
from actors.errors import Corrupt, JobdError, NotFound, StorageFailed
from actors.runtime import After, Ask, Context, Effect, ThreadActor, handles
from actors.runtime.signals import Answered, Failed

__all__ = ["FetchSnapshot", "Incoming", "IncomingFiles"]

_log: Final = logging.getLogger(__name__)
_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_TRIES: Final = 5  # of one page at one donor
_OPEN_S: Final = 120.0
_PAGE_S: Final = 20.0


class FetchSnapshot(msgspec.Struct, frozen=True):
    """Get a snapshot of at least `index` commands: from this donor first, then from any other."""

    donor: str
    index: int


class IncomingFiles(Protocol):
    """Where the new image is built. Calls block, and raise ReadOnly, StorageFailed."""

    @property
    def engine(self) -> str:
        """The engine of the new image."""

    def begin(self) -> StateStore:
        """Drop what was begun before; return an empty image."""

    def complete(self, arrived: Arrived) -> None:
        """Have it put in the place of the present image at the next open: durable on return."""


class _Again(msgspec.Struct, frozen=True):
    pass


class Incoming(ThreadActor):
    """Fetches one snapshot at a time. `donors()` are those who may have one, best first.

    `arrived()` is called once, when there is one to go on from; `cluster` is whose it must be.
    """

    def __init__(
        self,
        files: IncomingFiles,
        *,
        cluster: str,
        donors: Callable[[], tuple[str, ...]],
        arrived: Callable[[], object],
        fatal: Callable[[StorageFailed], object],
    ) -> None:
        super().__init__()
        self._files = files
        self._cluster = cluster
        self._donors = donors
        self._arrived = arrived
        self._fatal = fatal
        self._wanted: FetchSnapshot | None = None
        self._donor = ""
        self._snapshot: Snapshot | None = None
        self._store: StateStore | None = None
        self._sessions = b""
        self._after = ""
        self._tries = 0
        self._pause_s = _PAUSE_S
        self._is_done = False

    @handles(FetchSnapshot)
    def fetch(self, message: FetchSnapshot, context: Context) -> Iterator[Effect]:
        """Begin, unless that is under way: a snapshot that is too old is found to be at its end."""
        if self._wanted is not None or self._is_done:
            return
        self._wanted, self._donor = message, message.donor
        _log.info("this node lags behind: it asks %s for a snapshot", message.donor)
        yield self._open()

    def _open(self) -> Ask:
        assert self._wanted is not None, "there is something to fetch"
        return self._ask(OpenSnapshot(self._wanted.index), "open", _OPEN_S)

    def _ask(self, message: object, tag: str, timeout_s: float = _PAGE_S) -> Ask:
        return Ask(f"jobd://{self._donor}/snapshots", message, tag, timeout_s=timeout_s)

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        """Take what came, and ask for what comes next."""
        self._tries = 0
        try:
            yield from self._take(str(message.tag), message.value)
        except JobdError as error:
            yield from self._left(error)

    def _take(self, tag: str, value: object) -> Iterator[Effect]:
        match tag, value:
            case "open", Snapshot():
                yield from self._begin(value)
            case "sessions", bytes():
                self._sessions = value
                yield from self._next_page()
            case "rows", bytes() if value:
                yield from self._add(value)
            case "rows", _:
                self._complete()
            case _:
                raise Corrupt(f"{self._donor} answers with {type(value).__name__}")

    def _begin(self, snapshot: Snapshot) -> Iterator[Effect]:
        if snapshot.cluster != self._cluster:
            raise Corrupt(f"{self._donor} is of the cluster {snapshot.cluster}")
        self._close()
        self._store, self._snapshot, self._after = self._files.begin(), snapshot, ""
        _log.info("%s sends %d keys at revision %d", self._donor, snapshot.keys, snapshot.revision)
        yield self._ask(SessionsOf(snapshot.id), "sessions")

    def _next_page(self) -> Iterator[Effect]:
        assert self._snapshot is not None, "a snapshot is being sent"
        yield self._ask(NextRows(self._snapshot.id, self._after), "rows")

    def _add(self, page: bytes) -> Iterator[Effect]:
        assert self._store is not None, "a snapshot is being sent"
        rows = decode_rows(page)
        if not rows or rows[0].key <= self._after:
            raise Corrupt(f"{self._donor} sends rows out of order")
        self._store.write(rows, applied_index=0, revision=0, sessions=b"", position=b"")
        self._after = rows[-1].key
        yield from self._next_page()

    def _complete(self) -> None:
        """Make it durable, check it, and have the node go on from it."""
        store, snapshot = self._store, self._snapshot
        assert store is not None and snapshot is not None, "a snapshot was sent"
        store.write(
            (),
            applied_index=0,
            revision=snapshot.revision,
            sessions=self._sessions,
            position=snapshot.position,
        )
        if store.digest() != snapshot.digest:
            raise Corrupt(f"what {self._donor} sent has another digest than it says")
        store.flush()
        self._close()
        self._files.complete(
            Arrived(self._files.engine, snapshot.cluster, snapshot.revision, snapshot.last_event)
        )
        self._is_done = True
        _log.info(
            "the snapshot at revision %d is here: this node goes on from it", snapshot.revision
        )
        self._arrived()

    # -- what goes wrong

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Iterator[Effect]:
        """Ask again, or ask another donor."""
        self._tries += 1
        if isinstance(message.error, NotFound) or self._tries >= _TRIES or message.tag == "open":
            yield from self._left(message.error)
        else:
            yield self._after_pause()

    def _left(self, error: BaseException) -> Iterator[Effect]:
        """Begin anew with another donor, after a pause. A failed disk ends the node."""
        if isinstance(error, StorageFailed):
            self._fatal(error)
            return
        assert self._wanted is not None, "there is something to fetch"
        self._close()
        others = [donor for donor in self._donors() if donor != self._donor]
        _log.warning("no snapshot from %s: %s", self._donor, error)
        self._donor = others[0] if others else self._donor
        self._tries = 0
        yield self._after_pause()

    def _after_pause(self) -> Effect:
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return After(pause_s, _Again(), key="again")

    @handles(_Again)
    def again(self, message: _Again, context: Context) -> Iterator[Effect]:
        """Go on where it was, or begin."""
        if self._store is None:
            yield self._open()
        elif self._sessions or self._after:
            yield from self._next_page()
        else:
            assert self._snapshot is not None, "its image was begun"
            yield self._ask(SessionsOf(self._snapshot.id), "sessions")

    def _close(self) -> None:
        store, self._store, self._snapshot, self._sessions = self._store, None, None, b""
        if store is not None:
            store.close()

    def on_stop(self) -> None:
        """Release the files; what is not complete is dropped at the next start."""
        self._close()
