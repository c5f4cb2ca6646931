"""A run: machines, network, clients and faults on one calendar of virtual milliseconds.

Two phases. First faults, with clients all the while. Then everything heals, and the cluster must
come to rest within a bound: every call answered, all replicas at the same place in the order (I10).
The same seed gives the same run and the same digest of it.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol
from unittest import mock

from actors import limits
from actors.core.consensus.group import Alive, Effects, Input, Read, Submit
from actors.core.consensus.recovery_of_log import found
from actors.core.store.txn import Txn
from actors.errors import JobdError
from actors.model.epoch import Epoch, Member
from tests.sim.consensus import faults
from tests.sim.consensus.changes import Changes
from tests.sim.consensus.clients import Clients
from tests.sim.consensus.dice import Dice
from tests.sim.consensus.ghost import Ghost
from tests.sim.consensus.machine import Answer, Machine
from tests.sim.consensus.network import Network
from tests.sim.consensus.profile import Profile, draw
from tests.sim.consensus.uncollected import uncollected
from tests.sim.violation import ViolationError

__all__ = ["Outcome", "Simulation", "Watch", "run_seed"]

_REST_MS: Final = 60_000  # virtual, after the last fault
_LOOK_MS: Final = 50
_BELIEVE_MS: Final = 100
_FORGETFUL_BYTES: Final = 1_500  # some ten commands
_SEARCHED: Final = 8  # one history of so many is searched, too; all are held against the order


class Outcome(NamedTuple):
    """What a run came to; `invariant` is empty when none was broken."""

    seed: int
    invariant: str
    text: str
    digest: str
    coverage: Counter[str]


class Watch(Protocol):
    """Who is told of all that happens."""

    def stepped(self, machine: Machine, event: Input, effects: Effects) -> None:
        """Hear of a step of a machine's chain."""

    def happened(self, node: str, what: str) -> None:
        """Hear of what happened to a machine."""


class Simulation:
    """The world of one seed."""

    def __init__(self, seed: int, profile: Profile | None = None, *, sessions: bool = True) -> None:
        self.seed = seed
        self.rng: random.Random = Dice(seed)
        self.profile = profile or draw(self.rng)
        self.coverage: Counter[str] = Counter()
        self.ghost = Ghost()
        self.ghost.forgetful = self.profile.forgetful or self.profile.changes > 0
        self.now = 0
        self.healed = False
        self.watch: Watch | None = None
        self._sessions = sessions  # nodes open one when they start
        self._calendar: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._events = 0
        self._digest = hashlib.blake2b(digest_size=8)
        self.network = Network(self.rng, self.profile, self.at, self._deliver, self.coverage)
        self.clients = Clients(self)
        self.machines: dict[str, Machine] = {}
        self.changes = Changes(self)
        self._set_up()

    def _set_up(self) -> None:
        profile, rng = self.profile, self.rng
        names = tuple(f"n{number}" for number in range(1, profile.voters + 1))
        members = tuple(Member(name) for name in names)
        epoch = Epoch(1, "sim", members, profile.quorum_size)
        self.ghost.found(epoch)
        for name in names:
            machine = self.machines[name] = Machine(self, name)
            machine.storage.log.append((found(epoch),), full=False)
            machine.boot()
        for number in range(profile.learners):
            self.at(rng.randint(1, profile.faulty_ms), self.changes.start, (f"w{number + 1}",))
        for _ in range(profile.changes):
            self.at(rng.randint(50, profile.faulty_ms), self.changes.change, ())
        for _ in range(profile.commands):
            self.at(rng.randint(10, profile.faulty_ms), self._call, (False,))
        for _ in range(int(profile.commands * profile.reads)):
            self.at(rng.randint(10, profile.faulty_ms), self._call, (True,))
        self.at(1, self._believe, ())
        self.at(profile.faulty_ms, self._heal, ())
        faults.schedule(self)
        for _ in range(profile.losses):
            self.at(rng.randint(10, profile.faulty_ms), self._lose, ())

    # -- the calendar

    def at(self, delay_ms: int, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Do something later."""
        self._events += 1
        heapq.heappush(self._calendar, (self.now + delay_ms, self._events, action, arguments))

    def run(self) -> Outcome:
        """Run to the end, or to the first broken invariant."""
        invariant = text = ""
        try:
            with mock.patch.object(limits, "RETAINED_BYTES", self._retained()), uncollected():
                self._run()
            self.clients.judge(search=self.seed % _SEARCHED == 0)
        except ViolationError as error:
            invariant, text = error.invariant, str(error)
        except AssertionError as error:
            invariant, text = "assert", f"the product asserts: {error}"
        except Exception as error:
            invariant, text = "error", f"the product raises {error!r} at {_where(error)}"
        self.coverage.update(self.ghost.coverage)
        self.coverage["packets"] += self.network.packets
        self.coverage["events"] += self._events
        self.coverage["transactions ordered"] += self.ghost.txns
        self.coverage["commands executed"] += len(self.ghost.order)
        return Outcome(self.seed, invariant, text, self._digest.hexdigest(), self.coverage)

    def _retained(self) -> int:
        return _FORGETFUL_BYTES if self.profile.forgetful else limits.RETAINED_BYTES

    def _run(self) -> None:
        calendar = self._calendar
        while calendar:
            self.now, _, action, arguments = heapq.heappop(calendar)
            if self.healed and self._is_over():
                return
            action(*arguments)

    # -- what machines need

    def send(self, sender: str, to: str, data: bytes) -> None:
        """Hand a packet to the network."""
        self._digest.update(b"%d%b" % (self.now, data))
        self.network.send(sender, to, data)

    def _deliver(self, sender: str, to: str, data: bytes) -> None:
        machine = self.machines.get(to)
        if machine is not None:
            machine.receive(sender, data)

    def donor_of(self, machine: Machine, name: str) -> Machine | None:
        """Return the machine of a node, if it is up and can be reached."""
        donor = self.machines.get(name)
        if donor is None or not donor.is_up or donor.is_stopped:
            return None
        if not self.healed and self.network.is_cut(name, machine.name):
            return None
        self.coverage["snapshots taken"] += 1
        return donor

    def stepped(self, machine: Machine, event: Input, effects: Effects) -> None:
        """Hear of a step."""
        if self.watch is not None:
            self.watch.stepped(machine, event, effects)

    def happened(self, machine: Machine, what: str) -> None:
        """Hear of what a fault does."""
        if self.watch is not None:
            self.watch.happened(machine.name, what)

    def booted(self, machine: Machine) -> None:
        """Hear that a process runs."""
        self.coverage["processes started"] += 1
        self.retry(machine)
        self._tell(machine)

    def retry(self, machine: Machine) -> None:
        """Have a node's session opened, now that it runs or that it did not work."""
        if self._sessions:
            machine.later(self.rng.randint(1, 30), self._open_session, machine)

    def _open_session(self, machine: Machine) -> None:
        if machine.name in machine.chain.epoch.nodes:
            self.clients.open_session(machine)

    # -- nodes without a vote

    def forward(self, machine: Machine, event: Submit | Read) -> None:
        """Hand it to a voter, and to another while there is no answer: it is ordered once."""
        self.coverage["forwarded by a learner"] += 1
        if isinstance(event, Submit) and event.txn.session is not None:
            self.ghost.may_repeat(event.txn.session, event.txn.now_ms)
        self._try_voter(machine, machine.generation, event)

    def _try_voter(self, machine: Machine, generation: int, event: Submit | Read) -> None:
        if machine.generation != generation or event.ticket not in machine.waiting:
            return
        self.at(self.rng.randint(100, 400), self._try_voter, (machine, generation, event))
        voters = [m for m in self.machines.values() if self._takes_calls(m)]
        if not voters:
            return
        voter = self.rng.choice(voters)

        def answered(answer: Answer) -> None:
            if machine.generation == generation and not isinstance(answer, JobdError):
                machine.answered_by(event.ticket, answer, voter.applied)

        ticket = voter.ticket(answered)
        if isinstance(event, Submit):
            voter.step(Submit(ticket, event.txn))
        else:
            voter.step(Read(ticket))

    def _takes_calls(self, machine: Machine) -> bool:
        return (
            machine.is_up and not machine.is_stopped and machine.name in machine.chain.epoch.nodes
        )

    # -- the failure detector

    def _believe(self) -> None:
        self.at(self.rng.randint(_BELIEVE_MS // 2, _BELIEVE_MS), self._believe, ())
        self.ghost.everywhere = min(machine.applied for machine in self.machines.values())
        for machine in list(self.machines.values()):
            if machine.is_up and not machine.is_stopped:
                self._tell(machine)

    def _tell(self, machine: Machine) -> None:
        """Say who is alive: truly, or wrongly as the profile has it."""
        voters = machine.chain.epoch.nodes
        alive = {n for n in voters if (m := self.machines.get(n)) and m.is_up and not m.is_stopped}
        if not self.healed and self.rng.random() < self.profile.lies:
            self.coverage["wrong words of the detector"] += 1
            alive = {n for n in voters if self.rng.random() < 0.5}
        alive.add(machine.name)
        leader = next((n for n in voters if n in alive), machine.name)
        machine.step(Alive(frozenset(alive), leader))

    # -- clients

    def _call(self, read: bool) -> None:
        machine = self.machines[self.rng.choice(sorted(self.machines))]
        if machine.is_up and not machine.is_stopped and self.clients.session_of(machine):
            self.clients.act(machine, read=read)
            for _ in range(self.rng.choice((0, 0, 0, 2))):  # some come together
                if machine.is_up:
                    self.clients.act(machine, read=False)
        else:
            self.coverage["calls at a node that was not there"] += 1

    def _lose(self) -> None:
        """Have a node declare another one lost, as the detector has it, or wrongly."""
        names = sorted(self.machines)
        machine = self.machines[self.rng.choice(names)]
        if machine.is_up and not machine.is_stopped and self.clients.session_of(machine):
            self.clients.end_session(machine, self.rng.choice(names))

    # -- the end

    def _heal(self) -> None:
        """End all faults; then everything must come to rest."""
        self.healed = True
        self._healed_at = self.now
        self._probed = False
        self.network.heal()
        for machine in list(self.machines.values()):
            machine.storage.full = False
            machine.go_on()
            if not machine.is_up:
                machine.boot()
        self._next_look = self.now + _LOOK_MS

    def _is_over(self) -> bool:
        if self.now < self._next_look:
            return False
        self._next_look = self.now + _LOOK_MS
        if self._is_at_rest():
            if self._probed:
                return True
            self._probe()
        if self.now > self._healed_at + _REST_MS:
            raise ViolationError("I10", self._unrest())
        return False

    def _probe(self) -> None:
        """Have every voter order one more transaction: a rest that is none shows."""
        self._probed = True
        for machine in self.machines.values():
            if self._sessions and machine.name in machine.chain.epoch.nodes:
                machine.step(Submit(machine.ticket(lambda _: None), Txn((), (("kv/end", b""),))))

    def _is_at_rest(self) -> bool:
        machines = list(self.machines.values())
        if any(m.waiting or not m.is_up for m in machines):
            return False
        if len({m.applied for m in machines}) > 1:
            return False
        if machines[0].applied != len(self.ghost.order):
            return False
        states = {(m.state.revision, m.state.sessions.dump(), m.rows_digest()) for m in machines}
        if len(states) > 1:
            raise ViolationError("I6", f"states differ at {machines[0].applied}: {states}")
        return True

    def _unrest(self) -> str:
        lines = [f"no rest {_REST_MS} ms after the last fault; {len(self.ghost.order)} executed"]
        for machine in self.machines.values():
            status = machine.chain.status(machine.now_ms()) if machine.is_up else None
            lines.append(
                f"  {machine.name}: up {machine.is_up}, applied {machine.applied}, "
                f"waiting {list(machine.waiting)[:5]}, {status}"
            )
        return "\n".join(lines)


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def run_seed(seed: int) -> Outcome:
    """Run one seed with the profile that is drawn from it."""
    return Simulation(seed).run()
