"""The history actor: what ends, and what happens, goes to the history process and is kept there.

It follows the feed for jobs that end and reads the events from the bus, and sends both in batches,
one at a time. The history process holds how far it is; after a crash of either side the actor asks
it, and makes what is missing anew from the state. So nothing that the store still has is lost, and
nothing is there twice. `Home` is told how far history is: ended jobs wait for it.

What was dropped from the events of this node before its history had it (it joined by a snapshot, or
lagged far) is copied from the history of another node, batch by batch, before it goes on by itself.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

import msgspec

from actors import addresses
from actors.core.history import Batch, NodeSample, Position, next_batch
from actors.core.history_port import HistoryPort, ReadRange, Where, Write
from actors.core.ports import EventPage
from actors.core.view import Change, View
from actors.image_writer import ReadEvents
from actors.model import keys
from actors.model.job import TERMINAL
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    Reply,
    ReplyTo,
    Tell,
    handles,
)
from actors.runtime.address import SCHEME
from actors.store_actor import StoreActor

__all__ = ["CatchUp", "History", "HistoryLost", "Recorded", "SayRecorded", "Stored"]

_log: Final = logging.getLogger(__name__)
_FLUSH_S: Final = 1.0
_FLUSH_JOBS: Final = 500
_EVENTS: Final = 4_096  # more than a transaction can emit
_LAST_OF_ALL: Final = 1 << 30
_NEVER: Final = 1 << 62  # above every revision
_SAMPLE_S: Final = 60.0
_RETRY_S: Final = 1.0
_SAMPLES_KEPT: Final = 60
_COPY_S: Final = 60.0
_WAIT_S: Final = 60.0  # for another node that may have what is missing


class Stored(msgspec.Struct, frozen=True):
    """From the port: how far history is."""

    system_lane: ClassVar[bool] = True
    position: Position


class HistoryLost(msgspec.Struct, frozen=True):
    """From the port: there is no answer; what was sent may have been stored."""

    system_lane: ClassVar[bool] = True
    reason: str


class Recorded(msgspec.Struct, frozen=True):
    """To home: every job that ended below this revision is in history."""

    system_lane: ClassVar[bool] = True
    revision: int


class SayRecorded(msgspec.Struct, frozen=True):
    """From home at its start: answered by a Recorded when that is known."""

    system_lane: ClassVar[bool] = True


class CatchUp(msgspec.Struct, frozen=True):
    """From a door: answered once history has all that ended so far, or does not answer."""


class _Flush(msgspec.Struct, frozen=True):
    pass


class _Sample(msgspec.Struct, frozen=True):
    pass


class _Copied(msgspec.Struct, frozen=True):
    """The tag of a batch that another node was asked for."""

    node: str


class _Upto(msgspec.Struct, frozen=True):
    """The tag of a look at the events: they are complete up to this revision (exclusive)."""

    revision: int


class History(StoreActor):
    """One per node. Without anything that ended, no history process is started.

    `donors()` are the other nodes that may have what this one lacks, best first.
    """

    def __init__(
        self,
        view: View,
        port: HistoryPort,
        sample: Callable[[int], NodeSample],
        donors: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        super().__init__(view)
        self._donors = donors
        self._empty_handed: set[str] = set()  # donors that had nothing behind this position
        self._copied = 0
        self._alone_since_s = 0.0
        self._port = port
        self._sample = sample
        self._samples: deque[NodeSample] = deque(maxlen=_SAMPLES_KEPT)
        self._ended: deque[tuple[int, str]] = deque()  # (revision, job id), not in history yet
        self._scanned = 0  # what ended up to this revision, the last rescan has found
        self._stored: Position | None = None  # None: to be asked
        self._batch: Batch | None = None
        self._busy = False  # an answer of the bus or of the port is under way
        self._armed = False
        self._is_down = False
        self._sent = 0  # of the samples, in the batch
        self._recorded = 0  # below this revision all is in history: Home was told
        self._awaited: list[tuple[int, ReplyTo | None]] = []  # until all below is in history
        self.rows = 0

    @property
    def recorded(self) -> int:
        """Below this revision all is in history, as far as is known."""
        return self._recorded

    def lag_s(self, now_ms: int) -> float:
        """Return how long the oldest ended job has waited for history."""
        while self._ended:
            entry = self.view.get(keys.job(self._ended[0][1]))
            if entry is not None:
                return max(0, now_ms - int(entry.noun.since_ms)) / 1000
            self._ended.popleft()
        return 0.0

    def on_start(self) -> Iterator[Effect]:
        """Find what ended, then follow the feed."""
        yield from super().on_start() or ()
        yield After(_SAMPLE_S, _Sample(), key="sample")

    # -- what ended

    def rescan(self) -> Effects:
        """Find all that has ended; what history has already is passed over once it says so."""
        self._scanned = self.view.revision
        jobs = self.view.scan("job/")
        self._ended = deque(
            sorted((e.revision, keys.last(k)) for k, e in jobs if e.noun.state in TERMINAL)
        )
        if self._stored is not None:
            self._drop(self._stored)
        return None

    def changed(self, change: Change) -> Effects:
        """Note a job that has ended."""
        fresh = change.revision > self._scanned
        if fresh and change.key.startswith("job/") and not change.deleted:
            entry = self.view.get(change.key)
            if entry is None or entry.revision != change.revision:
                return None  # it changed again, or went: that is in the feed too
            if entry.noun.state in TERMINAL:
                self._ended.append((entry.revision, keys.last(change.key)))
        return None

    def _drop(self, stored: Position) -> None:
        while self._ended and self._ended[0][0] < stored.revision:
            self._ended.popleft()

    # -- when to write

    def decide(self) -> Iterator[Effect]:
        """Write now when a batch is full, else in a moment."""
        if self._busy or (self._stored is None and not self._ended):
            return
        if self._stored is None or len(self._ended) >= _FLUSH_JOBS or self._awaited:
            yield from self._flush()
        elif not self._armed and self.view.revision >= self._next(self._stored):
            self._armed = True
            yield After(_FLUSH_S, _Flush(), key="flush")

    def _next(self, stored: Position) -> int:
        """Return the first revision that may not be in history: of some there is nothing to it."""
        return max(stored.revision, self._recorded)

    @handles(_Flush)
    def flush(self, message: _Flush, context: Context) -> Iterator[Effect]:
        """Write what has gathered."""
        self._armed = False
        # One that was there before is asked anew, though nothing has ended since: events have.
        exists = self._stored is not None or self._recorded > 0
        if not self._busy and (self._ended or exists):
            yield from self._flush()

    @handles(CatchUp)
    def catch_up(self, message: CatchUp, context: Context) -> Iterator[Effect]:
        """Write at once, so that who asks finds what it has seen end."""
        self._awaited.append((self.view.revision + 1, context.reply))
        yield from self._answer(self._recorded if self._stored is not None else 0)
        if self._awaited and not self._busy:
            yield from self._flush()

    def _answer(self, recorded: int) -> Iterator[Effect]:
        """Answer who waits for no more than is there."""
        ready = [reply for revision, reply in self._awaited if revision <= recorded]
        self._awaited = [each for each in self._awaited if each[0] > recorded]
        for reply in ready:
            yield Reply(reply)

    def _flush(self) -> Iterator[Effect]:
        self._busy = True
        if self._stored is None:
            self._port.send(Where(self.view.revision))
            return
        place = (max(self._next(self._stored) - 1, 0), _LAST_OF_ALL)
        upto = _Upto(self.view.revision + 1)
        yield Ask(addresses.EVENT_BUS, ReadEvents(place, _EVENTS), upto)

    # -- what is written

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        """Make a batch of the jobs and of the events that the bus has given, and send it."""
        if self._stored is None:  # the process went meanwhile
            self._busy = False
            yield from self.decide()
            return
        if isinstance(message.tag, _Copied):
            yield from self._take_copy(message.tag.node, message.value)
            return
        assert isinstance(message.tag, _Upto), "history asks for events, and other histories"
        page: EventPage = message.value
        if page.gap:
            donor = next((n for n in self._donors() if n not in self._empty_handed), None)
            if donor is not None:
                place, tag = f"{SCHEME}{donor}{addresses.HISTORY}", _Copied(donor)
                yield Ask(place, ReadRange(self._stored), tag, timeout_s=_COPY_S)
                return
            if self._waits_for_others():
                yield from self._later()
                return
            _log.warning("events were dropped before history had them")
        if self._copied:
            _log.info("history has %d batches of other nodes", self._copied)
            self._copied = 0
        upto = message.tag.revision
        if len(page.events) == _EVENTS:  # of the last revision there may be more
            upto = page.events[-1].revision
        batch = next_batch(
            self.view, self._stored, self._ended, page.events, upto, tuple(self._samples)
        )
        if batch.items:
            self._batch, self._sent = batch, len(self._samples)
            self._port.send(Write(batch))
            return
        self._busy = False
        yield from self._tell_home(upto)
        yield from self.decide()

    def _waits_for_others(self) -> bool:
        """Say whether another node may yet come that has what is missing here."""
        now_s = self.clock.monotonic_s()
        self._alone_since_s = self._alone_since_s or now_s
        others = self.view.count("node") > 1 and not self._empty_handed
        return others and now_s - self._alone_since_s < _WAIT_S

    def _take_copy(self, donor: str, batch: Batch) -> Iterator[Effect]:
        """Store what another node has of what this one lacks; else go on without."""
        if batch.after != self._stored or batch.position <= batch.after:
            self._empty_handed.add(donor)
            yield from self._later()
            return
        self._copied += 1
        self._empty_handed.clear()
        self._batch, self._sent = batch, 0
        self._port.send(Write(batch))

    @handles(ReadRange)
    def read_range(self, message: ReadRange, context: Context) -> Effects:
        """Give another node what it lacks."""
        assert context.reply is not None, "ReadRange is an ask"
        self._port.read(message, context.reply.set, context.reply.fail)
        return None

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """The events could not be read, or the other node does not answer: again in a moment."""
        if isinstance(message.tag, _Copied):
            self._empty_handed.add(message.tag.node)
            _log.info("node %s gives no history: %s", message.tag.node, message.error)
        else:
            _log.warning("history could not read the events: %s", message.error)
        return self._later()

    def _later(self) -> list[Effect]:
        self._busy = False
        self._batch = None
        self._armed = True
        return [After(_RETRY_S, _Flush(), key="flush")]

    # -- how far history is

    @handles(Stored)
    def stored(self, message: Stored, context: Context) -> Iterator[Effect]:
        """Go on from where history is."""
        batch, self._batch = self._batch, None
        before, self._stored = self._stored, message.position
        self._busy = self._is_down = False
        if batch is not None and message.position == batch.position:
            self.rows += len(batch.items)
            for _ in range(min(self._sent, len(self._samples))):
                self._samples.popleft()
        elif before is None or message.position < before:
            yield from self.rescan() or ()  # it has less than it had: a new file
        self._drop(message.position)
        yield from self._tell_home(message.position.revision, anew=batch is None)
        yield from self.decide()

    @handles(HistoryLost)
    def lost(self, message: HistoryLost, context: Context) -> Iterator[Effect]:
        """The process has ended or does not answer: ask the next one where it is."""
        if not self._is_down:  # said once, not every second
            _log.warning("history: %s", message.reason)
        self._is_down, self._stored = True, None
        yield from self._answer(_NEVER)  # what is there must do
        yield from self._later()

    def _tell_home(self, revision: int, *, anew: bool = False) -> Iterator[Effect]:
        if anew or revision > self._recorded:
            self._recorded = revision
            yield Tell(addresses.HOME, Recorded(revision))
        yield from self._answer(revision)

    @handles(SayRecorded)
    def say_recorded(self, message: SayRecorded, context: Context) -> Iterator[Effect]:
        """Tell a home that has just started."""
        if self._stored is not None:
            yield Tell(addresses.HOME, Recorded(self._recorded))

    # -- samples

    @handles(_Sample)
    def take_sample(self, message: _Sample, context: Context) -> Iterator[Effect]:
        """Note how the node is doing; it goes with the next batch."""
        yield After(_SAMPLE_S, _Sample(), key="sample")
        if self._stored is not None:
            self._samples.append(self._sample(self.clock.now_ms()))
            yield Tell(self.address, _Flush())
