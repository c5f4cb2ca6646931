"""The clients of a cluster: transactions and reads at every node, and what they were told.

Each node opens a session as the product's replica does. What clients saw is kept as a history for
the check of linearizability by key; the order of all calls is checked as they return (I9).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable
from typing import Final, Protocol

from actors.core.consensus.group import Read, Submit
from actors.core.store.txn import Check, Committed, Op, SessionRef, Stale, Txn, absent, at
from actors.core.store.txn import Conflict as Refuted
from actors.errors import JobdError
from actors.model import keys
from tests.sim.consensus.ghost import Ghost
from tests.sim.consensus.linearizable import Operation, answers, check
from tests.sim.consensus.machine import Answer, Machine
from tests.sim.violation import ViolationError

__all__ = ["Clients"]

_KEYS: Final = ("kv/a", "kv/b", "kv/c")
_KINDS: Final = ("put", "swap", "make", "delete", "both")
_UP_TO: Final = (4, 8, 9, 10, 11)  # of eleven calls so many are of a kind up to this one
_SEARCH: Final = 5_000  # steps: a history takes some hundreds, or more than anybody has


_Ref = tuple[str, int, int, int]


class _World(Protocol):
    rng: random.Random
    now: int
    ghost: Ghost
    coverage: Counter[str]
    healed: bool

    def retry(self, machine: Machine) -> None:
        """Have the node's session opened again after a while."""


class _Call:
    """A call under way. `done` is how far the order had come for sure when it was made."""

    def __init__(self, now: int, written: int, read: int) -> None:
        self.invoked = now
        self.written = written
        self.read = read
        self.ref: _Ref = ("", 0, 0, 0)


class Clients:
    """Calls nodes and remembers the answers."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._sessions: dict[str, tuple[int, int]] = {}  # node -> (generation, session)
        self._number = 0
        self._open: dict[_Ref, tuple[Operation, ...]] = {}
        self._history: list[tuple[int, bool, int, Operation]] = []  # (place, is a read, number)
        self._written = 0  # the furthest place in the order of an answered write
        self._read = 0  # the most of the order that an answered read has shown
        self.refused: set[tuple[str, int, int, int]] = set()

    # -- sessions

    def open_session(self, machine: Machine) -> None:
        """Have a node open its session, as it does at its start."""
        name = machine.name
        key = keys.session(name)
        stored = machine.state.raw(key)
        check_: Check = absent(key) if stored is None else at(key, stored[0])
        generation = machine.generation

        def opened(answer: Answer) -> None:
            if isinstance(answer, Committed):
                self._sessions[name] = (generation, answer.revision)
            else:
                self._world.retry(machine)

        ticket = machine.ticket(opened)
        self._number += 1
        ref = SessionRef(name, 0, ticket, next(iter(machine.waiting)))
        txn = Txn((check_,), ((key, b"%d" % self._number),), (), self._number, ref)
        machine.step(Submit(ticket, txn))

    def end_session(self, machine: Machine, node: str) -> None:
        """Have a node end another's session, or its own: what is under way in it is void."""
        key = keys.session(node)
        stored = machine.state.raw(key)
        if stored is None:
            return
        self._world.coverage["nodes declared lost"] += 1
        self._number += 1
        ticket = machine.ticket(lambda _: None)
        session = self.session_of(machine)
        ref = SessionRef(machine.name, session, ticket, next(iter(machine.waiting)))
        txn = Txn((at(key, stored[0]),), ((key, b"lost"),), (), self._number, ref)
        machine.step(Submit(ticket, txn))

    def session_of(self, machine: Machine) -> int:
        """Return the session that the running process has opened, 0 while it has none."""
        generation, number = self._sessions.get(machine.name, (0, 0))
        return number if generation == machine.generation else 0

    # -- calls

    def act(self, machine: Machine, *, read: bool) -> None:
        """Make a call of a random kind at a node that has a session."""
        if read:
            self._call_read(machine)
            return
        rng = self._world.rng
        kind = rng.choices(_KINDS, cum_weights=_UP_TO)[0]
        key = rng.choice(_KEYS)
        self._number += 1
        value = b"%d" % self._number
        stored = machine.state.raw(key)
        checks: tuple[Check, ...] = ()
        ops: tuple[Op, ...] = ((key, value),)
        made = "write"
        expected: bytes | None = None
        if kind == "swap":
            checks = (absent(key),) if stored is None else (at(key, stored[0]),)
            made, expected = "cas", None if stored is None else stored[1]
        elif kind == "make":
            checks, made = (absent(key),), "cas"
        elif kind == "delete":
            ops = ((key, None),)
        elif kind == "both":
            ops = tuple((each, value) for each in _KEYS)
        self._submit(machine, checks, ops, made, expected)

    def _submit(
        self,
        machine: Machine,
        checks: tuple[Check, ...],
        ops: tuple[Op, ...],
        made: str,
        expected: bytes | None,
    ) -> None:
        world, number = self._world, self._number
        call = _Call(world.now, self._written, self._read)
        made_of = tuple(
            Operation(key, made, value, call.invoked, None, expected, True, machine.name)
            for key, value in ops
        )
        ticket = machine.ticket(lambda answer: self._answer(machine, call, answer))
        session = self.session_of(machine)
        ref = SessionRef(machine.name, session, ticket, next(iter(machine.waiting)))
        call.ref = (machine.name, session, ticket, number)
        self._open[call.ref] = made_of
        machine.step(Submit(ticket, Txn(checks, ops, (), number, ref)))

    def _answer(self, machine: Machine, call: _Call, answer: Answer) -> None:
        world = self._world
        if isinstance(answer, JobdError):
            del self._open[call.ref]
            self.refused.add(call.ref)
            world.coverage["transactions refused"] += 1
        elif isinstance(answer, Stale):
            self._is_stale(machine, call)
        else:
            ok = isinstance(answer, Committed)
            assert ok or isinstance(answer, Refuted)
            world.coverage["answered" if ok else "answered with a conflict"] += 1
            self._returned(call, ok=ok)

    def _is_stale(self, machine: Machine, call: _Call) -> None:
        """Its session has ended: have one opened, unless another call did."""
        if isinstance(self._world.ghost.results[call.ref], Stale):
            del self._open[call.ref]
            self._world.coverage["transactions of a session that ended"] += 1
        else:  # it was ordered twice, first while there was the session
            self._world.coverage["answers forgotten with their session"] += 1
        if self._sessions.get(machine.name) == (machine.generation, call.ref[1]):
            del self._sessions[machine.name]
            self._world.retry(machine)

    def _returned(self, call: _Call, *, ok: bool) -> None:
        """I9: a write comes behind all that was answered before it was made."""
        place = self._world.ghost.position[call.ref]
        if place <= max(call.written, call.read):
            raise ViolationError(
                "I9", f"a write at {place} after one at {call.written}, a read of {call.read}"
            )
        self._written = max(self._written, place)
        now = self._world.now
        for operation in self._open.pop(call.ref):
            key, kind, value, invoked, _, expected, _, client = operation
            answered = Operation(key, kind, value, invoked, now, expected, ok, client)
            self._note(place, answered)

    def _note(self, place: int, operation: Operation) -> None:
        is_read = operation.kind == "read"
        self._history.append((place, is_read, len(self._history), operation))

    def _call_read(self, machine: Machine) -> None:
        world = self._world
        key = world.rng.choice(_KEYS)
        call = _Call(world.now, self._written, self._read)

        def ready(answer: Answer) -> None:
            if answer is not None:
                world.coverage["reads refused"] += 1
                return
            world.coverage["reads served"] += 1
            shown = world.ghost.txns_up_to(machine.applied)
            if shown < max(call.written, call.read):
                raise ViolationError(
                    "I9",
                    f"a read at {machine.name} of {shown} transactions after a write at "
                    f"{call.written} and a read of {call.read}",
                )
            self._read = max(self._read, shown)
            stored = machine.state.raw(key)
            value = None if stored is None else stored[1]
            self._note(
                shown, Operation(key, "read", value, call.invoked, world.now, client=machine.name)
            )

        machine.step(Read(machine.ticket(ready)))

    # -- the end

    def judge(self, *, search: bool) -> None:
        """Hold the whole history against the invariants."""
        ordered = self.refused & self._world.ghost.position.keys()
        if ordered:
            raise ViolationError("I11", f"refused and ordered: {sorted(ordered)}")
        ghost = self._world.ghost
        for ref, operations in self._open.items():
            result = ghost.results.get(ref)
            if result is None or isinstance(result, Stale):
                continue  # never ordered, or after its session: without an effect
            for operation in operations:
                self._note(
                    ghost.position[ref], operation._replace(ok=isinstance(result, Committed))
                )
        self._explain()
        if search:
            self._search()

    def _explain(self) -> None:
        """I9: the one order explains every answer, and no call in it precedes an ended one."""
        state: dict[str, Hashable] = {}
        latest = 0.0  # of the calls so far, when the last one was made
        for place, _, _, operation in sorted(self._history):
            fits, value = answers(operation, state.get(operation.key))
            if not fits:
                raise ViolationError(
                    "I9", f"at {place} of the order {operation} finds {state.get(operation.key)}"
                )
            state[operation.key] = value
            if operation.returned is not None and operation.returned < latest:
                raise ViolationError(
                    "I9", f"{operation} is at {place} of the order, behind a call of {latest}"
                )
            latest = max(latest, operation.invoked)

    def _search(self) -> None:
        """I9 once more, with no word of the order: some order explains every answer."""
        verdict = check((operation for *_, operation in self._history), limit=_SEARCH)
        if verdict.ok is False:
            raise ViolationError("I9", str(verdict))
        what = "histories searched" if verdict.ok else "histories too hard to search"
        self._world.coverage[what] += 1
