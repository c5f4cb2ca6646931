"""A machine: its disk, and the processes of its node one after the other, on a real Chain.

The driver does what the replica's actor does: effects in their order, one group of records on its
way to the disk at a time, the image written behind, a snapshot when the state is too old. A process
can be killed at any moment, stopped for a while (SIGSTOP), and its clock runs at a rate of its own.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from actors.core.consensus.chain import Chain
from actors.core.consensus.group import (
    Apply,
    Behind,
    Effects,
    Imaged,
    Input,
    NotSynced,
    Read,
    Receive,
    Submit,
    Synced,
    Tick,
)
from actors.core.consensus.messages import Packet
from actors.core.consensus.recovery_of_log import Recovery
from actors.core.ports import LogEntry
from actors.core.snapshot import placed
from actors.core.store.state import State
from actors.core.store.txn import Result
from actors.errors import JobdError, ReadOnly
from tests.sim.consensus.ghost import Ghost
from tests.sim.consensus.profile import Profile
from tests.sim.consensus.storage import Image, Storage

__all__ = ["Answer", "Machine", "World", "adopted"]

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(Packet).decode
_INBOX: Final = 64  # packets that wait for a stopped process; more are lost

Answer = Result | JobdError | None  # None: the read may be served
Waiter = Callable[[Answer], None]


class World(Protocol):
    """What a machine needs of the world around it."""

    rng: random.Random
    now: int
    profile: Profile
    ghost: Ghost
    healed: bool

    def at(self, delay_ms: int, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Do something later."""

    def send(self, sender: str, to: str, data: bytes) -> None:
        """Hand a packet to the network."""

    def donor_of(self, machine: Machine, name: str) -> Machine | None:
        """Return the machine of a node, if it is up and can be reached."""

    def stepped(self, machine: Machine, event: Input, effects: Effects) -> None:
        """Hear of a step."""

    def happened(self, machine: Machine, what: str) -> None:
        """Hear of what a fault does."""

    def booted(self, machine: Machine) -> None:
        """Hear that a process runs."""

    def forward(self, machine: Machine, event: Submit | Read) -> None:
        """Have a voter take what was submitted at a node without a vote."""


def adopted(theirs: bytes, own: bytes) -> bytes:
    """Return the position to go on from with another node's image."""
    return placed(own, theirs)


class Machine:
    """`chain` and `state` are those of the process that runs, if `is_up`."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.storage = Storage(real_log=world.profile.real_log)
        self.generation = 0
        self.is_up = False
        self.chain: Chain
        self.state = State()
        self.applied = 0
        self.waiting: dict[int, Waiter] = {}
        self._ticket = 0
        self._unsynced: deque[tuple[LogEntry, ...]] = deque()
        self._rows: dict[str, tuple[int, bytes]] = {}
        self._fetching = False
        self._has_timer = False
        self.is_stopped = False
        self._deferred: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._inbox: list[tuple[str, bytes]] = []
        self._rate = 1.0
        self._offset = 0
        self._since = 0

    # -- processes

    def boot(self) -> None:
        """Start a process on what the disk has."""
        world, storage = self.world, self.storage
        storage.incarnation += 1
        world.happened(self, f"boots, incarnation {storage.incarnation}")
        self.is_up, self._fetching = True, False
        self._ticket = 0
        self.state, self._rows, self.applied = State(), {}, 0
        self._since, self._offset = world.now, world.rng.randrange(1_000_000)
        self._rate = world.rng.choice((1.0, 1.0, 0.7, 1.5)) if world.profile.jumps else 1.0
        image = storage.image
        if image is not None:
            rows = [(key, revision, value) for key, (revision, value) in image.rows.items()]
            self.state.restore(image.revision, rows, image.sessions)
            self._rows, self.applied = dict(image.rows), image.executed
            world.ghost.imaged(self.name, image.executed, image.position)
        recovery = Recovery(self.name, "sim", image.position if image is not None else b"", 0)
        for entry in storage.log.replay(image.log_index if image is not None else 0):
            for batch in recovery.replay(entry):
                self._apply(batch)
        self.chain = recovery.finish(
            storage.log.last_index,
            storage.incarnation,
            durable_decisions=not world.profile.amnesia or world.rng.random() < 0.2,
        )
        world.ghost.booted(self.name, self.chain, storage.log.last_index)
        self._has_timer = False
        self._arm()
        self.later(world.rng.randint(1, world.profile.image_ms), self._write_image)
        world.booted(self)

    def kill(self, *, power: bool) -> None:
        """End the process; `power`: the machine's power goes with it."""
        self.is_up = self.is_stopped = False
        self.generation += 1
        self.world.happened(self, "loses its power" if power else "is killed")
        unsynced = self._unsynced[0] if self._unsynced else ()
        self._unsynced.clear()
        self.storage.crash(unsynced, self.world.rng, power=power)
        self.world.ghost.crashed(self.name, self.storage.log.last_index)
        self._deferred.clear()
        self._inbox.clear()
        self.waiting.clear()

    def stop(self) -> None:
        """SIGSTOP."""
        self.is_stopped = True
        self.world.happened(self, "is stopped")

    def go_on(self) -> None:
        """SIGCONT: timers that are due and packets in the sockets come all at once."""
        if not self.is_stopped:
            return
        self.is_stopped = False
        self.world.happened(self, "goes on")
        generation = self.generation
        deferred, self._deferred = self._deferred, []
        inbox, self._inbox = self._inbox, []
        for action, arguments in deferred:
            self._do(generation, action, arguments)
        for sender, data in inbox:
            if generation == self.generation:
                self.receive(sender, data)

    def jump(self, ms: int) -> None:
        """Let the clock jump: time that passed while the machine slept."""
        self._offset += ms

    def now_ms(self) -> int:
        """The process's monotonic clock."""
        return int((self.world.now - self._since) * self._rate) + self._offset

    def later(self, delay_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        """Have this process do something later, if it still runs then."""
        self.world.at(delay_ms, self._do, (self.generation, action, arguments))

    def _do(self, generation: int, action: Callable[..., None], arguments: Any) -> None:
        if generation != self.generation or not self.is_up:
            return
        if self.is_stopped:
            self._deferred.append((action, arguments))
        else:
            action(*arguments)

    # -- inputs

    def receive(self, sender: str, data: bytes) -> None:
        """Take a packet off the wire."""
        if self.is_stopped:
            if len(self._inbox) < _INBOX:
                self._inbox.append((sender, data))
        elif self.is_up:
            self.step(Receive(sender, _DECODE(data)))

    def ticket(self, waiter: Waiter) -> int:
        """Return a new ticket; its answer goes to the waiter, unless the process ends first."""
        self._ticket += 1
        self.waiting[self._ticket] = waiter
        return self._ticket

    def _tick(self) -> None:
        self._has_timer = False
        self.step(Tick())

    def _arm(self) -> None:
        """Have the next tick come when the chain wants it; a node alone wants none."""
        ms = 0 if self._has_timer else self.chain.tick_ms
        if ms:
            self._has_timer = True
            self.later(self.world.rng.randint(ms // 2, ms), self._tick)

    def step(self, event: Input) -> None:
        """Take a step of the chain and do what it asks for, in the order of its fields."""
        effects: Effects = self.chain.step(event, self.now_ms())
        world = self.world
        world.stepped(self, event, effects)
        if any(effects):
            self._do_all(world, effects)
        self._arm()

    def _do_all(self, world: World, effects: Effects) -> None:
        ghost = world.ghost
        if effects.apply:
            ghost.executed(self.name, self.chain, effects.apply)
        if effects.append:
            ghost.appended(self.name, effects.append)
            self._unsynced.append(effects.append)
            if len(self._unsynced) == 1:
                self.later(world.rng.randint(0, world.profile.sync_ms), self._synced)
        for to, packet in effects.send:
            ghost.sent(self, to, packet)
            world.send(self.name, to, _ENCODE(packet))
        for batch in effects.apply:
            self._apply(batch)
        for ticket, error in effects.refuse:
            if ticket:
                self.waiting.pop(ticket)(error)
        for ticket in effects.ready:
            self.waiting.pop(ticket)(None)
        for event in effects.forward:
            self.world.forward(self, event)
        if effects.behind is not None:
            self._fall_behind(effects.behind)

    # -- the disk

    def _synced(self) -> None:
        group = self._unsynced.popleft()
        answer: Input
        try:
            self.storage.log.append(group, full=self.storage.full)
            answer = Synced(group[-1].index)
            self.world.ghost.durable(self.name, group[-1].index)
        except ReadOnly as error:
            answer = NotSynced(group[0].index - 1, error)
            self.world.ghost.refused_records(self.name, group[0].index)
        if self._unsynced:
            self.later(self.world.rng.randint(0, self.world.profile.sync_ms), self._synced)
        self.step(answer)

    def image(self) -> Image:
        """Return the image of this moment."""
        return Image(
            self.applied,
            self.chain.log_floor,
            self.chain.position(),
            self.state.revision,
            self.state.sessions.dump(),
            dict(self._rows),
        )

    def _write_image(self) -> None:
        world = self.world
        self.later(world.profile.image_ms, self._write_image)
        if self.storage.full or self.storage.written is not None:
            return
        self.storage.written = self.image()
        self.later(world.rng.randint(0, world.profile.image_ms), self._image_is_durable)

    def _image_is_durable(self) -> None:
        image, self.storage.written = self.storage.written, None
        assert image is not None
        self.storage.image = image
        self.world.ghost.imaged(self.name, image.executed, image.position)
        self.storage.log.truncate_before(image.log_index + 1)
        self.step(Imaged(image.executed))
        self.world.ghost.collected(self.name, self.chain)

    # -- the state

    def _apply(self, batch: Apply) -> None:
        apply, rows = self.state.apply, self._rows
        results = []
        for txn in batch.txns:
            last = self.state.revision
            results.append(apply(txn))
            if self.state.revision > last:  # else a repeat, which changes nothing now
                for key, value in txn.ops:
                    if value is None:
                        rows.pop(key, None)
                    else:
                        rows[key] = (self.state.revision, value)
        self.world.ghost.applied(self.name, self.applied, batch, results)
        self.applied = batch.index
        for ticket, result in zip(batch.tickets, results, strict=True):
            if ticket and self.is_up:
                self.waiting.pop(ticket)(result)

    def rows_digest(self) -> int:
        """Return what tells states apart, within one run."""
        return hash(tuple(sorted(self._rows.items())))

    def answered_by(self, ticket: int, answer: Answer, index: int) -> None:
        """Take a voter's answer, once this node has executed as much."""
        if ticket not in self.waiting:
            return
        if self.applied < index:
            self.later(20, self.answered_by, ticket, answer, index)
        else:
            self.waiting.pop(ticket)(answer)

    # -- snapshots

    def _fall_behind(self, behind: Behind) -> None:
        if not self._fetching:
            self._fetching = True
            self.later(self.world.rng.randint(5, 40), self._fetch, behind)

    def _fetch(self, behind: Behind) -> None:
        self._fetching = False
        donor = self.world.donor_of(self, behind.donor)
        if donor is None:
            return
        image = donor.image() if self.world.rng.random() < 0.7 else donor.storage.image
        if image is None or image.executed < behind.executed or image.executed <= self.applied:
            return
        self.kill(power=False)
        self.install(image)
        self.boot()

    def install(self, image: Image) -> None:
        """Take another node's state for one's own: the log stays, and with it what was promised."""
        own = self.storage.image
        self.storage.image = image._replace(
            position=adopted(image.position, own.position if own is not None else b""),
            log_index=own.log_index if own is not None else 0,
        )
        self.world.ghost.imaged(self.name, image.executed, image.position)
