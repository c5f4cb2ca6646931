"""What one node reads of another: over the peer door of that node, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from actors import addresses, limits
from actors.core.log_record import STDOUT, LogRecord
from actors.core.ports import EventPage, LogPage
from actors.core.store.state import State
from actors.core.store.txn import Txn
from actors.errors import ActorUnavailable, NodeUnreachable, NotFound
from actors.image_writer import ReadEvents
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import Event
from actors.model.ids import make_id
from actors.model.job import Attempt
from actors.peer_door import PeerDoor, PeerLog, ReadPeerLog
from actors.run_log import ReadLog
from actors.runtime import Context, Effects, Fail, LoopActor, LoopHost, Outlet, Reply, handles
from actors.wakeups import Unwatch, Watch
from jobd.api.message import ApiReply, ApiRequest
from jobd.node.peer_reader import PeerReader
from jobd.node.reads import Reads

JOB = make_id(1_700_000_000_000, 1)
ATTEMPT = keys.attempt(JOB, 0, 1)
PAGE = LogPage([LogRecord(0, 5, STDOUT, 0, b"x" * 100)], 1, True, [])


def event(revision: int, size: int = 1) -> Event:
    return Event(revision, 0, 1, "t", "", {"text": "x" * size})


class Files(LoopActor):
    """The job logs of the other node."""

    @handles(ReadLog)
    def read(self, message: ReadLog, context: Context) -> Effects:
        assert context.reply is not None
        if message.attempt != ATTEMPT:
            return [Fail(context.reply, NotFound("no log"))]
        return [Reply(context.reply, PAGE)]


class Bus(LoopActor):
    """Events of a node: all those above a floor."""

    def __init__(self, events: list[Event], floor: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self._events = events
        self._floor = floor

    @handles(ReadEvents)
    def read(self, message: ReadEvents, context: Context) -> Effects:
        assert context.reply is not None
        above = max(message.after, self._floor)
        found = [each for each in self._events if (each.revision, each.k) > above]
        page = EventPage(tuple(found[: message.limit]), message.after < self._floor)
        return [Reply(context.reply, page)]


class Waker(LoopActor):
    """Wake-ups as `Wakeups` gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.waiters: dict[str, Callable[[], None]] = {}

    @handles(Watch)
    def watch(self, message: Watch, context: Context) -> Effects:
        self.waiters[message.job_id] = message.wake
        message.wake()
        return None

    @handles(Unwatch)
    def unwatch(self, message: Unwatch, context: Context) -> Effects:
        self.waiters.pop(message.job_id, None)
        return None


class Api(LoopActor):
    """Another node's API, with one file."""

    @handles(ApiRequest)
    def request(self, message: ApiRequest, context: Context) -> Effects:
        assert isinstance(context.reply, Outlet)
        for piece in (b"one ", b"two"):
            context.reply.item(piece)
        return [Reply(context.reply, ApiReply(200, {}, b""))]


class NoFiles:
    """A node without artifacts."""

    def path(self, job_id: str, task: int) -> Path | None:
        return None


def run(scenario: Callable[[LoopHost, PeerReader], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario where n2 is at hand and n3 is not."""

    async def act() -> None:
        host = LoopHost()
        forgotten: list[str] = []
        host.spawn(Files, addresses.RUN_LOG)
        host.spawn(lambda: PeerDoor(forgotten.append), f"jobd://n2{addresses.PEER_DOOR}")
        host.spawn(Api, f"jobd://n2{addresses.API}")
        reader = PeerReader(host, "n1", lambda: {"n1", "n2", "n3"})
        try:
            await scenario(host, reader)
        finally:
            await host.shutdown()

    asyncio.run(act())


def test_a_log_is_read_where_it_is() -> None:
    async def scenario(host: LoopHost, reader: PeerReader) -> None:
        assert await reader.read_log("n2", ATTEMPT, 0, 10, None) == PAGE
        with pytest.raises(NotFound):
            await reader.read_log("n2", keys.attempt(JOB, 0, 2), 0, 10, None)
        with pytest.raises(NodeUnreachable, match="n3") as caught:
            await reader.read_log("n3", ATTEMPT, 0, 10, None)
        assert caught.value.node == "n3"

    run(scenario)


def test_an_attempt_of_unknown_place_is_looked_for() -> None:
    async def scenario(host: LoopHost, reader: PeerReader) -> None:
        reads = Reads(host, State(), cast(Any, NoFiles()), reader)
        assert await reads.log(JOB, 0, 1, 0, 10, None, node="n2") == PAGE
        assert await reads.log(JOB, 0, 1, 0, 10, None) == PAGE
        assert await reads.log(JOB, 0, 2, 0, 10, None) == LogPage([], 0, True, [])
        assert await reads.log(JOB, 0, 1, 0, 10, None, node="n3") == PAGE  # n1 was n3 once
        with pytest.raises(NodeUnreachable):
            await reads.log(JOB, 0, 2, 0, 10, None, node="n3")

    run(scenario)


def test_what_this_node_has_dropped_comes_from_another() -> None:
    async def scenario(host: LoopHost, reader: PeerReader) -> None:
        events = [event(revision) for revision in range(1, 9)]
        host.spawn(lambda: Bus(events, (5, 1)), addresses.EVENT_BUS)
        reads = Reads(host, State(), cast(Any, NoFiles()), reader)
        assert (await reads.events((2, 0), 10, (), None)).gap  # n2's bus is this one's here
        await host.stop(addresses.EVENT_BUS)
        host.spawn(lambda: Bus(events), addresses.EVENT_BUS)
        page = await reader.read_events((2, 0), 3, (), None)
        assert page == EventPage(tuple(events[2:5]), False)

    run(scenario)


def test_large_events_come_in_several_messages() -> None:
    async def scenario(host: LoopHost, reader: PeerReader) -> None:
        events = [event(revision, limits.LOG_PAGE_BYTES // 3) for revision in range(1, 9)]
        host.spawn(lambda: Bus(events), addresses.EVENT_BUS)
        page = await reader.read_events((0, 0), 8, (), None)
        assert page is not None
        assert [each.revision for each in page.events] == list(range(1, 9))

    run(scenario)


def test_a_file_comes_in_pieces_from_the_node_that_has_it() -> None:
    async def scenario(host: LoopHost, reader: PeerReader) -> None:
        reads = Reads(host, State(), cast(Any, NoFiles()), reader)
        pieces = await reads.artifact(JOB, 0, "output", node="n2")
        assert isinstance(pieces, AsyncGenerator)
        assert [piece async for piece in pieces] == [b"one ", b"two"]
        with pytest.raises(NotFound):
            await reads.artifact(JOB, 0, "output", node="n1")
        gone = PeerReader(host, "n1", lambda: {"n1"})
        with pytest.raises(NodeUnreachable):
            await Reads(host, State(), cast(Any, NoFiles()), gone).artifact(
                JOB, 0, "output", node="n2"
            )

    run(scenario)


def test_growth_elsewhere_wakes_and_is_looked_for_no_more_at_the_end() -> None:
    async def scenario(host: LoopHost, reader: PeerReader) -> None:
        host.spawn(Waker, addresses.WAKEUPS)
        waker = cast(Waker, host.cells[addresses.WAKEUPS].actor)
        state = State()
        attempt = Attempt("n2", 0, "s", 1)
        woken = asyncio.Event()
        async with reader.following(state, JOB, woken.set) as look:
            look()
            await asyncio.sleep(0.01)
            assert waker.waiters == {}  # it runs nowhere yet
            state.apply(Txn((), ((ATTEMPT, encode(attempt)),)))
            look()
            look()
            await asyncio.wait_for(woken.wait(), 2)
            for _ in range(1_000):  # more than its reader has room for
                waker.waiters[JOB]()
            woken.clear()
            await asyncio.sleep(0.05)
            waker.waiters[JOB]()
            await asyncio.wait_for(woken.wait(), 2)
        await asyncio.sleep(0.05)
        assert waker.waiters == {}

    run(scenario)


def test_a_deleted_job_is_forgotten_elsewhere() -> None:
    async def act() -> None:
        host = LoopHost()
        forgotten: list[str] = []
        host.spawn(lambda: PeerDoor(forgotten.append), f"jobd://n2{addresses.PEER_DOOR}")
        PeerReader(host, "n1", lambda: {"n1", "n2"}).forget(JOB)
        await asyncio.sleep(0.01)
        assert forgotten == [JOB]
        await host.shutdown()

    asyncio.run(act())


class Relinking(LoopActor):
    """A node whose link breaks under the first question, and is there again for the next."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    @handles(ReadPeerLog)
    def read(self, message: ReadPeerLog, context: Context) -> Effects:
        return self._answer(context, PeerLog(PAGE))

    @handles(ApiRequest)
    def request(self, message: ApiRequest, context: Context) -> Effects:
        return self._answer(context, ApiReply(200, {}, b""))

    def _answer(self, context: Context, value: object) -> Effects:
        assert context.reply is not None
        self._asked += 1
        if self._asked == 1:
            return [Fail(context.reply, ActorUnavailable("the link broke", maybe_executed=True))]
        return [Reply(context.reply, value)]


def test_what_only_looks_is_asked_again_over_the_next_link() -> None:
    async def scenario(host: LoopHost, reader: PeerReader) -> None:
        host.spawn(Relinking, f"jobd://n4{addresses.PEER_DOOR}")
        host.spawn(Relinking, f"jobd://n4{addresses.API}")
        assert await reader.read_log("n4", ATTEMPT, 0, 10, None) == PAGE
        assert [piece async for piece in reader.download("n4", "get_artifact", {}, ())] == []

    run(scenario)
