"""What an actor can't do without reaches it, however full its mailbox is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import addresses
from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.backends.state_memory import MemoryStateStore
from actors.consensus_replica import ConsensusReplica, Settle, SubmitTxn
from actors.core import session
from actors.core.consensus.chain import alone
from actors.core.store.state import State
from actors.core.store.txn import Committed, Txn
from actors.errors import MailboxFull
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWriter, ReadEvents
from actors.log_writer import LogWriter
from actors.runtime import SimHost

SMALL = 64


def ignore(_: object) -> None:
    pass


def lost(host: SimHost) -> list[str]:
    """What did not reach one of the store's actors."""
    rows = host.dead_letters.rows()
    return [row.message for row in rows if row.to != addresses.EVENT_BUS]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimHost]:
    """A store whose mailboxes are small; the session is open."""
    for actor in (ConsensusReplica, ImageWriter, LogWriter):
        monkeypatch.setattr(actor, "mailbox_limit", SMALL)
    state = State()
    log = SegmentLog.open(tmp_path / "log", 64 * 1024)
    events = EventSegments.open(tmp_path / "events")
    image = MemoryStateStore.open()
    host = SimHost(1)
    host.spawn(lambda: LogWriter(log, fatal=ignore, observe_fsync=ignore), addresses.LOG)
    host.spawn(lambda: ImageWriter(image, events, applied_index=0, fatal=ignore), addresses.IMAGE)
    host.spawn(
        lambda: ConsensusReplica(alone("n"), state, node="n", backlog=ImageBacklog({}, [])),
        addresses.REPLICA,
    )
    opening = session.open_session(state, "n", 1, "n", host.clock.now_ms())
    opened = host.ask(addresses.REPLICA, SubmitTxn(opening, opens_session=True))
    host.run_for(1.0)
    assert isinstance(opened.get(timeout=1), Committed)
    yield host
    log.close()
    events.close()


def put(n: int) -> SubmitTxn:
    return SubmitTxn(Txn((), ((f"kv/test/{n}", b"x"),)))


def test_a_flood_of_submits_does_not_stop_the_log(host: SimHost) -> None:
    answers = []
    for n in range(300):
        answers += [host.ask(addresses.REPLICA, put(n * 100 + k)) for k in range(100)]
        host.run_for(0.0005)
    host.run_for(5.0)
    last = host.ask(addresses.REPLICA, put(-1))
    host.run_for(1.0)
    assert isinstance(last.get(timeout=1), Committed)
    refused = 0
    for answer in answers:
        try:
            assert isinstance(answer.get(timeout=1), Committed)
        except MailboxFull:
            refused += 1
    assert 0 < refused < len(answers)
    assert lost(host) == []


def test_a_flood_of_reads_does_not_stop_the_image(host: SimHost) -> None:
    for n in range(500):
        for _ in range(8):  # more than it reads in that time
            host.ask(addresses.IMAGE, ReadEvents((0, 0), 10))
        if n % 100 == 0:
            host.ask(addresses.REPLICA, put(n))
        host.run_for(0.001)
    host.run_for(5.0)
    settled = host.ask(addresses.REPLICA, Settle())
    host.run_for(2.0)
    settled.get(timeout=1)
    assert lost(host) == []
