# ruff: noqa: T201 -- a program: it prints its findings
"""Every order of delivery in a small scope: some commands, some recoveries, some crashes.

A global state is the local states of the replicas, the messages on their way, and what may still
happen. A step concerns one replica, so its outcome is kept by (local state, what happens): most of
the global steps are look-ups. What is never delivered is lost, so loss is explored too. The disk
is instant here; a crash loses what is volatile, and the log is recovered by the product.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from actors.core.consensus.group import Submit
from actors.core.consensus.known_command import KnownCommand
from actors.core.consensus.messages import CommandId, Message, Packet
from actors.core.consensus.recovery_of_log import Recovery, found
from actors.core.consensus.tempo import Tempo
from actors.core.ports import LogEntry
from actors.core.store.txn import Txn
from actors.model.epoch import Epoch, Member

__all__ = ["SCOPES", "Found", "Scope", "explore", "main"]

Local = int
Mail = int
Action = tuple[str, int]
State = tuple[tuple[Local, ...], tuple[Mail, ...], tuple[int, ...], tuple[int, ...], int]


class Scope(NamedTuple):
    """`commands` are submitted in this order at these replicas; `recoverers` may recover once each.

    `crashes` may happen, of any replica. `states` and `seconds` are the bounds in the suite.
    """

    n: int
    quorum_size: int
    commands: tuple[int, ...]
    recoverers: tuple[int, ...] = ()
    crashes: int = 0
    states: int = 20_000


SCOPES: Final = {
    "3: 1 command, 1 recovery": Scope(3, 2, (1,), (3,)),
    "3: 2 commands": Scope(3, 2, (1, 2)),
    "3: 1 command, 2 recoveries": Scope(3, 2, (1,), (2, 3)),
    "3: 2 commands, 1 recovery": Scope(3, 2, (1, 2), (3,), states=10_000),
    "3: 1 command, 1 recovery, 1 crash": Scope(3, 2, (1,), (3,), 1),
    "3: 2 commands, 1 crash": Scope(3, 2, (1, 2), (), 1),
    "5: 1 command, 2 recoveries": Scope(5, 3, (1,), (2, 5)),
}


class Found(NamedTuple):
    """`is_whole`: all states of the scope were seen; else the bound ended it."""

    invariant: str
    text: str
    states: int
    edges: int
    is_whole: bool
    seconds: float


class _Node:
    """A replica with its log."""

    def __init__(self, tempo: Tempo, log: list[LogEntry]) -> None:
        self.tempo = tempo
        self.log = log
        self.order: list[tuple[int, CommandId]] = []


class _Explorer:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        members = tuple(Member(f"n{j}") for j in range(1, scope.n + 1))
        self._epoch = Epoch(1, "sim", members, scope.quorum_size)
        self._locals: dict[Any, Local] = {}
        self._blobs: list[bytes] = []
        self._decided: list[tuple[tuple[CommandId, int], ...]] = []
        self._orders: list[tuple[tuple[int, CommandId], ...]] = []
        self._mails: dict[tuple[int, int, Message, int, Any], Mail] = {}
        self._mail: list[tuple[int, int, Packet]] = []
        self._steps: dict[tuple[Local, Action], tuple[Local, tuple[Mail, ...]] | None] = {}

    # -- global

    def run(self, states: int, seconds: float) -> Found:
        """Search breadth first."""
        scope, began, edges = self._scope, time.monotonic(), 0
        start = tuple(self._intern(self._new(j)) for j in range(1, scope.n + 1))
        first: State = (start, (), scope.commands, scope.recoverers, scope.crashes)
        seen, queue = {first}, deque([first])

        def result(invariant: str, text: str, *, is_whole: bool) -> Found:
            took = time.monotonic() - began
            return Found(invariant, text, len(seen), edges, is_whole, took)

        while queue:
            for following in self._following(queue.popleft()):
                edges += 1
                if isinstance(following, AssertionError):
                    return result("assert", str(following), is_whole=False)
                if following in seen:
                    continue
                seen.add(following)
                broken = self._broken(following[0])
                if broken:
                    return result(*broken, is_whole=False)
                queue.append(following)
            if len(seen) >= states or time.monotonic() - began > seconds:
                return result("", "", is_whole=False)
        return result("", "", is_whole=True)

    def _following(self, state: State) -> Iterator[State | AssertionError]:
        places, mail, commands, recoverers, crashes = state
        try:
            previous = -1
            for at, each in enumerate(mail):
                if each != previous:  # the same message twice is one choice
                    previous = each
                    left = mail[:at] + mail[at + 1 :]
                    yield from self._step(state, self._mail[each][1], ("take", each), mail=left)
            if commands:
                action = ("submit", len(commands))
                yield from self._step(state, commands[0], action, commands=commands[1:])
            for at, j in enumerate(recoverers):
                rest = recoverers[:at] + recoverers[at + 1 :]
                yield from self._step(state, j, ("recover", 0), recoverers=rest)
            if crashes:
                for j in range(1, len(places) + 1):
                    yield from self._step(state, j, ("crash", 0), crashes=crashes - 1)
        except AssertionError as error:
            yield error

    def _step(self, state: State, j: int, action: Action, **left: Any) -> Iterator[State]:
        places = state[0]
        key = (places[j - 1], action)
        if key not in self._steps:
            self._steps[key] = self._local_step(j, *key)
        outcome = self._steps[key]
        if outcome is None:
            return
        local, sent = outcome
        mail = tuple(sorted(left.get("mail", state[1]) + sent))
        yield (
            (*places[: j - 1], local, *places[j:]),
            mail,
            left.get("commands", state[2]),
            left.get("recoverers", state[3]),
            left.get("crashes", state[4]),
        )

    def _broken(self, places: tuple[Local, ...]) -> tuple[str, str] | None:
        final: dict[CommandId, int] = {}
        longest: tuple[tuple[int, CommandId], ...] = ()
        for local in places:
            for id_, ts in self._decided[local]:
                if final.setdefault(id_, ts) != ts:
                    return "I1", f"{id_} is decided as {final[id_]} and as {ts}"
            longest = max(longest, self._orders[local], key=len)
        for local in places:
            order = self._orders[local]
            if order != longest[: len(order)]:
                return "I6", f"{order} and {longest}"
        return None

    # -- local

    def _new(self, j: int) -> _Node:
        return self._recovered(j, [found(self._epoch)], 1)

    def _recovered(self, j: int, log: list[LogEntry], incarnation: int) -> _Node:
        recovery = Recovery(f"n{j}", "sim", b"", 0)
        order = []
        for entry in log:
            for batch in recovery.replay(entry):
                past = recovery._past.since(batch.index, 1)[0]
                order.append((past.ts, past.id))
        chain = recovery.finish(len(log), incarnation)
        group = chain._group
        assert isinstance(group, Tempo)
        node = _Node(group, log)
        node.order = order
        self._settle(node)
        return node

    def _local_step(
        self, j: int, local: Local, action: Action
    ) -> tuple[Local, tuple[Mail, ...]] | None:
        node: _Node = pickle.loads(self._blobs[local])
        tempo, (kind, argument) = node.tempo, action
        if kind == "take":
            sender, _, packet = self._mail[argument]
            tempo.receive(sender, packet)
        elif kind == "submit":
            tempo.submit(Submit(0, Txn((), ((f"kv/{argument}", b""),))))
        elif kind == "recover":
            undecided = [
                id_ for id_, c in sorted(tempo.replica.known.items()) if not c.is_committed
            ]
            if not undecided or tempo.replica.known[undecided[0]].command is None:
                return None
            tempo.recoveries.begin(tempo.replica.known[undecided[0]])
        else:
            node = self._recovered(j, node.log, tempo.replica.incarnation + 1)
        self._settle(node)
        sent = self._sent(j, node.tempo)
        return self._intern(node), sent

    def _settle(self, node: _Node) -> None:
        tempo = node.tempo
        journal = tempo.replica.journal
        while True:
            for batch in tempo.run():
                command = tempo.replica.past.since(batch.index, 1)[0]
                node.order.append((command.ts, command.id))
            group = journal.take(all_of_it=True)
            if not group:
                return
            node.log = [*node.log, *group]
            tempo.synced(group[-1].index)
            journal.synced(group[-1].index)

    def _sent(self, j: int, tempo: Tempo) -> tuple[Mail, ...]:
        sent = []
        for to, messages in tempo.outgoing().items():
            statement = tempo.statement(to, 0)
            for message in messages:
                key = (j, to, message, statement.clock, statement.attached)
                mail = self._mails.get(key)
                if mail is None:
                    mail = self._mails[key] = len(self._mail)
                    packet = Packet(
                        "sim", 1, j, 1, 0, 0, statement.clock, statement.attached,
                        statement.floor, (message,),
                    )  # fmt: skip
                    self._mail.append((j, to, packet))
                sent.append(mail)
        return tuple(sent)

    def _intern(self, node: _Node) -> Local:
        picture = _picture(node.tempo)
        if self._scope.crashes:
            picture = (picture, tuple(e.payload for e in node.log))
        key = (picture, tuple(node.order))
        local = self._locals.get(key)
        if local is None:
            local = self._locals[key] = len(self._blobs)
            self._blobs.append(pickle.dumps(node, -1))
            known = node.tempo.replica.known
            decided = tuple((id_, c.ts) for id_, c in known.items() if c.is_committed)
            self._decided.append(decided + tuple((id_, ts) for ts, id_ in node.order))
            self._orders.append(tuple(node.order))
        return local


def _picture(tempo: Tempo) -> tuple[Any, ...]:
    """What tells local states apart; times are left out."""
    r = tempo.replica
    return (
        r.me,
        r.incarnation,
        r.clock.clock,
        tuple(sorted(r.clock.attached.items())),
        tuple(_of_command(c) for _, c in sorted(r.known.items())),
        tuple(tempo.promises._clocks.items()),
        tuple(tuple(waiting) for waiting in tempo.promises._attached.values()),
        tuple(tempo.statements._executed),
        tempo.statements._floor,
        tempo.rounds._number,
    )


def _of_command(c: KnownCommand) -> tuple[Any, ...]:
    accepting = c.accepting and (
        c.accepting.ballot,
        c.accepting.ts,
        tuple(sorted(c.accepting.acks)),
    )
    recovering = c.recovering and (c.recovering.ballot, tuple(sorted(c.recovering.acks.items())))
    acks = None if c.acks is None else tuple(sorted(c.acks.items()))
    return (
        c.id, c.phase, c.command, c.quorum, c.proposal, c.ballot, c.accepted_ballot,
        c.accepted_ts, c.ts, c.first_record != 0, acks, accepting, recovering, c.nacked,
    )  # fmt: skip


def explore(name: str, *, states: int = 0, seconds: float = 60) -> Found:
    """Explore a scope; `states` 0: as far as the suite does."""
    scope = SCOPES[name]
    return _Explorer(scope).run(states or scope.states, seconds)


def main(states: int = 2_000_000, seconds: float = 600) -> int:
    """Explore all scopes, far; return the exit status."""
    broken = 0
    for name in SCOPES:
        found = explore(name, states=states, seconds=seconds)
        broken += bool(found.invariant)
        end = "all of it" if found.is_whole else "bound"
        print(
            f"{name:36} {found.states} states, {found.edges} edges, {end}, "
            f"{found.seconds:.0f} s {found.invariant} {found.text}",
            flush=True,
        )
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
