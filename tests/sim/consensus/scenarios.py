"""Scenarios by hand that random runs hardly meet. Each raises a violation, or ends well.

D1: one ballot for joined and accepted (Sutra, 2019, on EPaxos). D2: an acknowledgement after a
ballot was joined. D3: a clock that forgets what it skipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from actors.core.consensus.messages import (
    Accept,
    Accepted,
    BumpTo,
    ClockOf,
    CommandId,
    Commit,
    CommitRequest,
    Message,
    Payload,
    Propose,
    ProposeAck,
    ReadClock,
    Recover,
    RecoverAck,
    RecoverNack,
)
from actors.core.consensus.position import Position, encode_position
from actors.core.consensus.recovery_of_log import Recovery
from actors.core.consensus.tempo import Tempo
from actors.model.epoch import Epoch, Member
from tests.sim.consensus import machine
from tests.sim.consensus.replicas import Replicas
from tests.sim.violation import ViolationError

__all__ = ["SCENARIOS"]


def _single_ballot() -> None:
    """D1: x accepted at ballot 7 by one replica, y chosen at 10; a third recovery must take y."""
    r = Replicas(5, 3)
    r.bump(2, 5)
    x = r.submit(1)
    r.deliver(Propose, to=(2,))
    r.lose(ProposeAck)
    r.recover(2, x)
    r.deliver(Recover, to=(1, 3))
    r.deliver(RecoverAck, to=(2,))
    assert r.known(2, x).accepted_ts == 6
    r.lose(Accept)
    r.deliver(Payload, to=(5,))
    r.recover(5, x)
    r.deliver(Recover, to=(3, 4), sender=5)
    r.deliver(RecoverAck, to=(5,))
    r.deliver(Accept, to=(3, 4), sender=5)
    r.deliver(Accepted, to=(5,))
    assert r.final[x] == 1
    r.lose(Commit)
    r.recover(1, x, above=12)
    r.deliver(Recover, to=(2, 3), sender=1)
    r.deliver(RecoverAck, to=(1,))
    r.deliver(Accept, to=(2, 3), sender=1)
    r.deliver(Accepted, to=(1,))
    assert r.final[x] == 1


def _acknowledged_after_joining() -> None:
    """D2: the old proposal reaches a member that has joined a recovery meanwhile."""
    r = Replicas(5, 3)
    r.bump(2, 7)
    r.bump(4, 7)
    r.bump(5, 20)
    x = r.submit(1)
    r.deliver(Propose, to=(2, 3))
    r.deliver(ProposeAck, to=(1,))
    r.deliver(Payload, to=(5,))
    r.recover(5, x)
    r.deliver(Recover, to=(3, 4), sender=5)
    r.deliver(RecoverAck, to=(5,))
    r.deliver(Accept, to=(3, 4), sender=5)
    r.deliver(Accepted, to=(5,))
    assert r.final[x] == 21
    r.lose(Commit)
    r.deliver(Propose, to=(4,))
    for late in [mail for mail in r.mail if isinstance(mail.message, ProposeAck)]:
        r.take(late)
    r.pump()


def _clock_forgotten() -> None:
    """D3: what a replica only skipped made a command stable elsewhere; then all restart."""
    r = Replicas(3, 2)
    r.bump(3, 9)
    r.of[2].believe(frozenset(("n2", "n3")), "n2")
    r.submit(2, "b")
    r.deliver(Propose, to=(3,))
    r.deliver(ProposeAck, to=(2,))
    r.lose(Payload)
    commits = r.deliver(Commit, to=(1, 3))
    assert commits
    r.state_to(1, 3)
    assert r.order[3], "replica 3 has executed it"
    r.mail.clear()
    r.restart(1)
    r.restart(2)
    r.mail.clear()
    r.of[1].believe(frozenset(("n1", "n2")), "n1")
    r.submit(1, "late")
    r.deliver(Propose, to=(2,))
    r.deliver(ProposeAck, to=(1,))
    r.deliver(Commit)
    for _ in range(3):
        for j in (1, 2, 3):
            for k in (1, 2, 3):
                if j != k:
                    r.state_to(j, k)
    r.pump()


def _read_of_an_earlier_process() -> None:
    """An answer to a read of the process before must not count for a read of this one."""
    r = Replicas(3, 2)
    r.of[1].reads.add(1)
    r.settle(1)
    r.deliver(ReadClock, to=(2,))
    old = [mail for mail in r.mail if isinstance(mail.message, ClockOf)]
    r.mail.clear()
    r.of[2].believe(frozenset(("n2", "n3")), "n2")
    r.submit(2)
    r.deliver(Propose, to=(3,))
    r.deliver(ProposeAck, to=(2,))
    assert r.order[2], "it is executed and answered at 2"
    r.mail.clear()
    r.restart(1)
    r.mail.clear()
    r.of[1].reads.add(1)
    r.settle(1)
    for mail in old:
        r.take(mail)
    if r.of[1].ready() and not r.order[1]:
        raise ViolationError("I9", "a read at 1 that began after the write does not show it")


def _recovered_while_deciding() -> None:
    """A coordinator is asked by a recovery while the record of its decision is being written."""
    r = Replicas(3, 2)
    r.bump(2, 5)
    x = r.submit(1)
    r.deliver(Propose, to=(2,))
    r.deliver(Payload, to=(3,))
    r.holding.add(1)
    r.deliver(ProposeAck, to=(1,))
    r.recover(3, x)
    r.deliver(Recover, to=(1,))
    r.holding.discard(1)
    r.settle(1)
    assert r.final[x] == 6
    for kind, to in ((RecoverAck, 3), (Accept, 2), (Accepted, 3)):
        for mail in [m for m in r.mail if isinstance(m.message, kind) and m.to == to]:
            r.take(mail)
    r.pump()


def _snapshot_taken() -> None:
    """A node that takes another's image keeps its own reservation: its clock has been told."""
    epoch = Epoch(1, "sim", (Member("n1"), Member("n2"), Member("n3")), 2)
    mine = encode_position(Position(epoch, 4, (4, (1, 1, 4)), ((1, 1, ((1, 4),)),), 1024))
    donor = encode_position(Position(epoch, 9, (9, (1, 1, 9)), ((1, 1, ((1, 9),)),), 4096))
    group = Recovery("n2", "sim", machine.adopted(donor, mine), 0).finish(0, 2)._group
    assert isinstance(group, Tempo)
    clock = group.replica.clock.clock
    if clock != 1024:
        raise ViolationError("I13", f"the clock was reserved up to 1024 and goes on at {clock}")
    assert group.replica.past.index == 9


def _late_messages() -> None:
    """Every kind of message about a command that was executed and collected everywhere."""
    r = Replicas(3, 2)
    r.submit(1)
    r.submit(2, "y")
    r.pump()
    for _ in range(2):
        for j in (1, 2, 3):
            for k in (1, 2, 3):
                if j != k:
                    r.state_to(j, k)
    orders = {j: list(order) for j, order in r.order.items()}
    assert all(len(order) == 2 for order in orders.values())
    for replica in r.of.values():
        replica.replica.past.drop(replica.replica.past.index)
        replica.dropped(replica.replica.past.index)
    for id_ in orders[1]:
        _repeat_everything(r, id_)
    r.pump()
    if r.order != orders:
        raise ViolationError("I11", f"{orders} became {r.order}")
    left = [j for j, replica in r.of.items() if replica.replica.known]
    if left:
        raise ViolationError("I12", f"collected commands are known again at {left}")


def _repeat_everything(r: Replicas, id_: CommandId) -> None:
    command, quorum, ts = b"\x90", (1, 2), r.final[id_]
    messages: tuple[Message, ...] = (
        Propose(id_, command, quorum, 1),
        Payload(id_, command, quorum),
        ProposeAck(id_, 1),
        Commit(id_, ts),
        Commit(id_, ts, command, quorum),
        Accept(id_, command, quorum, ts, 9),
        Accepted(id_, 9),
        Recover(id_, command, quorum, 9),
        RecoverAck(id_, 1, True, 0, 0, 9),
        RecoverNack(id_, 9),
        CommitRequest((id_,)),
        ReadClock(7),
        ClockOf(7, 1),
        BumpTo(1),
    )
    for sender, to in itertools.permutations((1, 2, 3), 2):
        for message in messages:
            r.take(r.letter(sender, to, message))


def _stale_ballots() -> None:
    """Messages of a ballot that was left behind change nothing."""
    r = Replicas(5, 3)
    x = r.submit(1)
    r.deliver(Propose, to=(2,))
    r.deliver(Payload, to=(5,))
    r.recover(5, x)  # ballot 10
    r.deliver(Recover, to=(2, 3), sender=5)
    r.recover(5, x)  # ballot 15
    old = r.deliver(RecoverAck, to=(5,))
    assert r.known(5, x).accepting is None, "answers of ballot 10 count for nothing at 15"
    r.deliver(Recover, to=(2, 3), sender=5)
    r.deliver(RecoverAck, to=(5,))
    for mail in old:
        r.take(mail)
    r.take(r.letter(4, 2, Accept(x, b"\x90", (1, 2, 3, 4), 77, 9)))
    assert r.known(2, x).accepted_ts != 77, "a value of ballot 9 was accepted after 15"
    r.pump()


SCENARIOS: Final[dict[str, Callable[[], None]]] = {
    "D1 single ballot": _single_ballot,
    "D2 acknowledged after joining": _acknowledged_after_joining,
    "D3 clock forgotten": _clock_forgotten,
    "read of an earlier process": _read_of_an_earlier_process,
    "recovered while deciding": _recovered_while_deciding,
    "snapshot taken": _snapshot_taken,
    "late messages": _late_messages,
    "stale ballots": _stale_ballots,
}
