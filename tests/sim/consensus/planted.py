"""The patches of the planted bugs: (owner, attribute, original -> patched)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from actors.core.consensus.apply_order import ApplyOrder
from actors.core.consensus.catch_up import CatchUp
from actors.core.consensus.chain import Chain
from actors.core.consensus.group import Submit
from actors.core.consensus.known_command import KnownCommand, Phase
from actors.core.consensus.messages import Accepted, ProposeAck
from actors.core.consensus.past import PastCommand
from actors.core.consensus.position import decode_position, encode_position
from actors.core.consensus.promise_clock import PromiseClock
from actors.core.consensus.promises import Promises
from actors.core.consensus.quorums import Quorums
from actors.core.consensus.reads import Reads
from actors.core.consensus.records import ACCEPT
from actors.core.consensus.recoveries import Recoveries
from actors.core.consensus.recovery_of_log import Recovery
from actors.core.consensus.replica import Replica
from actors.core.consensus.rounds import Rounds
from actors.core.consensus.tempo import Tempo
from actors.core.consensus.upkeep import Upkeep
from tests.sim.consensus import machine

__all__ = ["PATCHES", "Patch"]

Plant = Callable[[Any], Any]
Patch = tuple[tuple[Any, str, Plant], ...]


class _Forgiving(dict[Any, Any]):
    """A dict from which anything may be deleted."""

    def __delitem__(self, key: Any) -> None:
        self.pop(key, None)


def _lose_attached(real: Any) -> Any:
    return lambda self, reserved=0, attached=None: real(self, reserved, _Forgiving())


def _stable_idx(real: Any) -> Any:
    def init(self: Promises, n: int, stability: int) -> None:
        real(self, n, stability)
        self._place = min(self._place + 1, n - 1)

    return init


def _delta_promises(real: Any) -> Any:
    def learn(self: Promises, replica: int, clock: int, attached: Any) -> None:
        self._clocks[replica] = max(clock, self._clocks[replica])
        self._attached[replica] = sorted(attached, reverse=True)
        self._stable = None

    return learn


def _reuse_ids(real: Any) -> Any:
    def init(self: Replica, epoch: Any, me: int, incarnation: int, *rest: Any) -> None:
        real(self, epoch, me, 1, *rest)

    return init


def _fast_after_rec_join(real: Any) -> Any:
    def join(self: Recoveries, command: KnownCommand, ballot: int) -> None:
        acks = command.acks
        real(self, command, ballot)
        command.acks = acks

    return join


def _fast_after_rec_ack(real: Any) -> Any:
    def ack(self: Rounds, sender: int, message: ProposeAck) -> None:
        command = self._replica.known.get(message.id)
        if command is None or command.acks is None or command.phase is not Phase.PROPOSED:
            return
        command.acks[sender] = message.ts
        if all(j in command.acks for j in command.quorum):
            self._conclude(command, [command.acks[j] for j in command.quorum])

    return ack


def _always_all(real: Any) -> Any:
    def choose(answers: Any, quorum: Any, coordinator: int) -> int:
        if any(a.accepted_ballot for a in answers.values()):
            return int(real(answers, quorum, coordinator))
        return max(int(a.proposal) for a in answers.values())

    return choose


def _always_members(real: Any) -> Any:
    def choose(answers: Any, quorum: Any, coordinator: int) -> int:
        if any(a.accepted_ballot for a in answers.values()):
            return int(real(answers, quorum, coordinator))
        return max(int(a.proposal) for j, a in answers.items() if j in quorum)

    return choose


def _no_coordinator(real: Any) -> Any:
    return lambda answers, quorum, coordinator: real(answers, quorum, 0)


def _without_f(real: Any) -> Any:
    def of(n: int, quorum_size: int) -> Quorums:
        f = quorum_size - 1
        return Quorums(n, f, max(1, n // 2 + f), f + 1, n - f, n // 2 + 1)

    return of


def _lose_clock(real: Any) -> Any:
    def init(self: PromiseClock, reserved: int = 0, attached: Any = None) -> None:
        real(self, reserved, attached)
        self.clock = max(attached or {}, default=0)

    return init


def _single_ballot(real: Any) -> Any:
    def join(self: Recoveries, command: KnownCommand, ballot: int) -> None:
        if command.accepted_ballot:
            command.accepted_ballot = ballot
        real(self, command, ballot)

    return join


def _repropose(real: Any) -> Any:
    def propose(self: Rounds, sender: int, message: Any) -> None:
        command = self._replica.known.get(message.id)
        if command is not None and command.proposal and not command.is_committed:
            ack = ProposeAck(command.id, command.proposal)
            self._replica.tell_durably(sender, ack)
        else:
            real(self, sender, message)

    return propose


def _no_floor(real: Any) -> Any:
    def receive(self: Tempo, sender: int, packet: Any) -> None:
        real(self, sender, msgspec.structs.replace(packet, floor=0))

    return receive


def _no_ids(real: Any) -> Any:
    return lambda self: encode_position(
        msgspec.structs.replace(decode_position(real(self)), ids=(), last=(0, (0, 0, 0)))
    )


def _does_not_void(real: Any) -> Any:
    def run(self: ApplyOrder) -> Iterator[Any]:
        late = []
        for execution in real(self):
            if execution[2].epoch is None:
                yield execution
            else:
                late.append(execution)
                late += list(real(self))
        yield from late[1:]
        yield from late[:1]

    return run


def _twice(real: Any) -> Any:
    def unanswered(self: Tempo) -> list[Any]:
        events: list[Any] = real(self)
        return events + [Submit(0, e.txn) for e in events if isinstance(e, Submit)]

    return unanswered


def _goes_back(real: Any) -> Any:
    return lambda self, epoch: None if self._past.index else real(self, epoch)


def _resurrect(real: Any) -> Any:
    def helped(self: Replica, sender: int, id_: Any) -> bool:
        return bool(real(self, sender, id_)) if id_ in self.known else False

    return helped


def _resurrected(real: Any) -> Any:
    def command(self: Replica, id_: Any) -> KnownCommand:
        return self.known.setdefault(id_, KnownCommand(id_, self.now_ms))

    return command


def _old_read(real: Any) -> Any:
    def init(self: Reads, replica: Replica, order: ApplyOrder) -> None:
        real(self, replica, order)
        self._number = 0

    return init


def _lower_ballot(real: Any) -> Any:
    def accept(self: Rounds, sender: int, message: Any) -> None:
        r = self._replica
        if r.helped(sender, message.id):
            return
        command = r.command(message.id)
        command.take_payload(message.command, message.quorum)
        command.ballot = command.accepted_ballot = message.ballot
        command.accepted_ts = message.ts
        r.record(ACCEPT, command)
        r.bump(message.ts)
        r.tell_durably(sender, Accepted(command.id, message.ballot))

    return accept


def _ballot_reused(real: Any) -> Any:
    return lambda me, n, above: me + n


def _tie_runs(real: Any) -> Any:
    return lambda self: real(self) + 1


def _answers_deciding(real: Any) -> Any:
    def recover(self: Recoveries, sender: int, message: Any) -> None:
        command = self._replica.known.get(message.id)
        deciding = command is not None and command.is_deciding
        if command is not None:
            command.is_deciding = False
        real(self, sender, message)
        if command is not None:
            command.is_deciding = deciding

    return recover


def _fetch_any(real: Any) -> Any:
    def take(self: Chain, sender: str, message: Any, now_ms: int) -> None:
        if message.commands:
            self._fetched += [PastCommand(*command) for command in message.commands]
        else:
            real(self, sender, message, now_ms)

    return take


def _always(value: Any) -> Plant:
    return lambda real: lambda *_, **__: value


_CHOOSE: Final = (sys.modules[Recoveries.__module__], "choose_timestamp")
PATCHES: Final[dict[str, Patch]] = {
    "exec_on_commit": ((ApplyOrder, "stable", _always(1 << 62)),),
    "ignore_attached": (
        (Promises, "frontier", lambda real: lambda self, replica, _: self._clocks[replica]),
    ),
    "stable_idx": ((Promises, "__init__", _stable_idx),),
    "lose_attached": ((PromiseClock, "__init__", _lose_attached),),
    "delta_promises": ((Promises, "learn", _delta_promises),),
    "reuse_ids": ((Replica, "__init__", _reuse_ids),),
    "read_one": ((Reads, "_enough", _always(1)),),
    "send_before_sync": (
        (Replica, "tell_durably", lambda real: lambda self, to, m: self.tell(to, m)),
    ),
    "fast_after_rec": (
        (Recoveries, "_join", _fast_after_rec_join),
        (Rounds, "on_propose_ack", _fast_after_rec_ack),
    ),
    "slowq_f": (
        (Rounds, "_slow_quorum", lambda real: lambda self: self._replica.quorums.slow - 1),
    ),
    "thr1": ((Rounds, "_fast_threshold", _always(1)),),
    "min_ts": ((Rounds, "_highest", lambda real: lambda self, proposals: min(proposals)),),
    "no_monotone": ((Rounds, "_lowest", _always(0)),),
    "rec_always_Q": ((*_CHOOSE, _always_all),),
    "rec_always_I": ((*_CHOOSE, _always_members),),
    "rec_no_coord": ((*_CHOOSE, _no_coordinator),),
    "no_amnesia_rule": ((Rounds, "may_have_decided", _always(False)),),
    "amnesia_answer": ((Recoveries, "_must_be_silent", _always(False)),),
    "three_without_f": ((Quorums, "of", _without_f),),
    "no_back_off": ((Upkeep, "_patience_ms", _always(60)),),
    "lose_clock": ((PromiseClock, "__init__", _lose_clock),),
    "single_ballot": ((Recoveries, "_join", _single_ballot),),
    "repropose_after_rec": ((Rounds, "on_propose", _repropose),),
    "gc_floor": ((Tempo, "receive", _no_floor),),
    "gc_too_early": ((CatchUp, "kept_from", lambda real: lambda self, *_: self._past.index),),
    "snapshot_no_ids": ((Chain, "position", _no_ids),),
    "snapshot_no_reserve": (
        (machine, "adopted", lambda real: lambda theirs, own: real(theirs, b"")),
    ),
    "seal_does_not_void": ((ApplyOrder, "run", _does_not_void),),
    "resubmitted_twice": ((Tempo, "unanswered", _twice),),
    "void_forgotten": ((Tempo, "unanswered", lambda real: lambda self: []),),
    "epoch_not_durable": ((Recovery, "_begin", _goes_back),),
    "image_ahead": (
        (Chain, "log_floor", lambda real: property(lambda self: self._journal.durable)),
    ),
    "resurrect": ((Replica, "helped", _resurrect), (Replica, "command", _resurrected)),
    "old_read": ((Reads, "__init__", _old_read),),
    "lower_ballot": ((Rounds, "on_accept", _lower_ballot),),
    "ballot_reused": ((sys.modules[Recoveries.__module__], "next_ballot", _ballot_reused),),
    "tie_runs": ((ApplyOrder, "stable", _tie_runs),),
    "answers_while_deciding": ((Recoveries, "on_recover", _answers_deciding),),
    "fetch_any": ((Chain, "_take_fetched", _fetch_any),),
}
