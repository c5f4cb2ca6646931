"""What many records and steady load must not do to the actors of a store."""

from __future__ import annotations

from pathlib import Path

from actors import addresses
from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.backends.state_memory import MemoryStateStore
from actors.consensus_replica import ConsensusReplica, SubmitTxn
from actors.core import session
from actors.core.consensus.chain import alone
from actors.core.peers import Peers
from actors.core.store.state import State
from actors.core.store.txn import Txn
from actors.home import Home
from actors.image_backlog import ImageBacklog
from actors.image_writer import ImageWriter
from actors.log_writer import LogWriter
from actors.model import keys
from actors.model.codec import encode
from actors.model.idempotency import IdempotencyKey
from actors.runtime import SimHost

RECORDS = 1000


def ignore(_: object) -> None:
    pass


def test_a_reconcile_pass_finds_everything_and_takes_many_turns() -> None:
    state, host = State(), SimHost(1)
    later_ms = host.clock.now_ms() + 3_600_000
    for i in range(RECORDS):
        key = keys.idempotency("t", f"{i:032d}")
        state.apply(Txn((), ((key, encode(IdempotencyKey("j", "b", later_ms))),)))
    home = Home(state, Peers("n"))
    host.spawn(lambda: home, addresses.HOME)
    for key, _ in list(state.scan("idempotency/")):
        home._turns.look(key, None)  # as if the feed had been missed
    assert host.run_until(lambda: home.repairs > 0, limit_s=60)
    assert home.repairs < RECORDS / 2, "one turn took half of the state"
    host.run_for(1.0)
    assert home.repairs == len(home._turns._due) == RECORDS


def test_the_image_is_written_while_commits_never_pause(tmp_path: Path) -> None:
    state, host = State(), SimHost(1)
    image = MemoryStateStore.open()
    log, events = SegmentLog.open(tmp_path / "log"), EventSegments.open(tmp_path / "events")
    host.spawn(lambda: LogWriter(log, fatal=ignore, observe_fsync=ignore), addresses.LOG)
    host.spawn(lambda: ImageWriter(image, events, applied_index=0, fatal=ignore), addresses.IMAGE)
    replica = ConsensusReplica(alone("n"), state, node="n", backlog=ImageBacklog({}, []))
    host.spawn(lambda: replica, addresses.REPLICA)
    opening = session.open_session(state, "n", 1, "n", host.clock.now_ms())
    host.ask(addresses.REPLICA, SubmitTxn(opening, opens_session=True))
    for i in range(100):
        txn = Txn((), ((keys.kv("n", f"{i}"), encode(b"v")),))
        host.ask(addresses.REPLICA, SubmitTxn(txn))
        host.run_for(0.02)  # the image waits five times as long for its rows
    assert image.load().revision > state.revision / 2
    log.close()
