"""The registry keeps rules R4 and R6 under any order of frames, repeats, crashes and reconnects.

A model shell carries out the effects; spawns may be left under way for as long as the test likes.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.core import attempt_registry as registry
from actors.core.supervisor_protocol import (
    VERSION,
    Ack,
    Exited,
    ExitRecord,
    Hello,
    Kill,
    Launch,
    ListHeld,
    Listing,
    NodeFrame,
    Output,
    Refused,
    Signal,
    Start,
    Started,
    SupervisorFrame,
    Welcome,
)

ATTEMPTS = st.sampled_from([f"attempt/{name}/00000/0001" for name in "abc"])
LAUNCH = Launch(argv=("true",))


class Shell(RuleBasedStateMachine):
    """A supervisor's outside: sockets, spool, processes."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = self.new()
        self.incarnation = 1
        self.newest = 0  # incarnation of the newest hello
        self.peers: dict[int, int] = {}  # open connections and their incarnation
        self.owner: int | None = None
        self.next_peer = 1
        self.spool: dict[str, ExitRecord | None] = {}  # registered on disk
        self.to_spawn: list[str] = []
        self.running: set[str] = set()
        self.doomed: set[str] = set()  # to be terminated
        self.killed_unspawned: set[str] = set()
        self.spawns: dict[str, int] = {}
        self.told_exit: dict[str, ExitRecord] = {}
        self.sent: list[tuple[int, SupervisorFrame]] = []

    @staticmethod
    def new() -> registry.AttemptRegistry:
        return registry.AttemptRegistry(instance="i", boot_id="b", cgroup="none", pid=1)

    def carry_out(self, effects: list[registry.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, registry.Register):
                assert effect.attempt not in self.spool, "registered twice"
                self.spool[effect.attempt] = None
            elif isinstance(effect, registry.Spawn):
                assert effect.attempt in self.spool, "spawned before it was registered"
                self.to_spawn.append(effect.attempt)
                self.spawns[effect.attempt] = self.spawns.get(effect.attempt, 0) + 1
                assert self.spawns[effect.attempt] == 1, "spawned twice"
            elif isinstance(effect, registry.Record):
                assert self.spool[effect.attempt] is None, "a second exit"
                self.spool[effect.attempt] = effect.exit
            elif isinstance(effect, registry.Terminate):
                assert effect.attempt in self.running
                self.doomed.add(effect.attempt)
            elif isinstance(effect, registry.Deliver):
                assert effect.attempt in self.running
            elif isinstance(effect, registry.Forget):
                assert self.spool.pop(effect.attempt) is not None, "forgot what had not ended"
            elif isinstance(effect, registry.Send):
                self.check_sent(effect)
            else:
                self.peers.pop(effect.peer, None)
                self.machine.disconnected(effect.peer)

    def check_sent(self, send: registry.Send) -> None:
        self.sent.append((send.peer, send.frame))
        if isinstance(send.frame, Exited):
            record = self.spool[send.frame.attempt]
            assert record == send.frame.exit, "told an exit that is not on disk"
        if not isinstance(send.frame, Refused):
            assert send.peer == self.machine.owner

    def receive(self, peer: int, frame: NodeFrame) -> list[SupervisorFrame]:
        self.sent = []
        owner = self.machine.owner
        before = (dict(self.spool), set(self.doomed), list(self.to_spawn))
        self.carry_out(self.machine.receive(peer, frame, now_ms=7))
        if peer != owner and not isinstance(frame, Hello):
            assert before == (self.spool, self.doomed, self.to_spawn), "an older peer had effect"
            assert [type(sent) for _, sent in self.sent] == [Refused]
        return [sent for to, sent in self.sent if to == peer]

    # -- nodes

    @rule(reboot=st.booleans(), stale=st.booleans())
    def connect(self, reboot: bool, stale: bool) -> None:
        self.incarnation += reboot
        peer, self.next_peer = self.next_peer, self.next_peer + 1
        incarnation = self.incarnation - stale
        self.peers[peer] = incarnation
        answers = self.receive(peer, Hello(VERSION, "n", incarnation))
        if incarnation < self.newest:
            assert isinstance(answers[0], Refused)
            assert self.machine.owner != peer
        else:
            assert isinstance(answers[0], Welcome)
            assert self.machine.owner == peer
            self.newest = incarnation

    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        if self.peers:
            peer = data.draw(st.sampled_from(sorted(self.peers)))
            del self.peers[peer]
            self.machine.disconnected(peer)
            assert self.machine.owner != peer

    def any_peer(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.peers) or [0]))

    @rule(data=st.data(), attempt=ATTEMPTS)
    def start(self, data: st.DataObject, attempt: str) -> None:
        peer = self.any_peer(data)
        if attempt in self.spawns and attempt not in self.spool:
            return  # acknowledged: its number is never used again
        known = attempt in self.spool
        answers = self.receive(peer, Start(attempt, 5, LAUNCH))
        if peer == self.machine.owner and known:
            if (record := self.spool[attempt]) is not None:
                assert answers == [Exited(attempt, record)]
            elif attempt in self.running:
                assert isinstance(answers[0], Started)

    @rule(data=st.data(), attempt=ATTEMPTS)
    def kill(self, data: st.DataObject, attempt: str) -> None:
        peer = self.any_peer(data)
        known = attempt in self.spool
        self.receive(peer, Kill(attempt, "cancelled", 0))
        if peer != self.machine.owner:
            return
        record = self.spool[attempt]
        if not known:
            assert record is not None
            assert record.reason == "killed"
        elif attempt in self.running:
            assert attempt in self.doomed
        elif record is None:
            self.killed_unspawned.add(attempt)

    @rule(data=st.data(), attempt=ATTEMPTS)
    def ack(self, data: st.DataObject, attempt: str) -> None:
        self.receive(self.any_peer(data), Ack(attempt))

    @rule(data=st.data(), attempt=ATTEMPTS)
    def signal(self, data: st.DataObject, attempt: str) -> None:
        self.receive(self.any_peer(data), Signal(attempt, 10))

    @rule(data=st.data())
    def list_held(self, data: st.DataObject) -> None:
        peer = self.any_peer(data)
        answers = self.receive(peer, ListHeld())
        if peer == self.machine.owner:
            assert answers == [self.machine.listing()]

    # -- processes

    @rule(fails=st.booleans())
    def spawn(self, fails: bool) -> None:
        if not self.to_spawn:
            return
        attempt = self.to_spawn.pop(0)
        if fails:
            self.carry_out(self.machine.ended(attempt, ExitRecord(reason="spawn")))
        else:
            self.running.add(attempt)
            self.carry_out(self.machine.spawned(attempt, 11, 22, 33))
            if attempt in self.killed_unspawned:
                assert attempt in self.doomed, "a kill during the spawn was lost"
        self.killed_unspawned.discard(attempt)

    @rule(data=st.data(), seq=st.integers(1, 9))
    def write(self, data: st.DataObject, seq: int) -> None:
        if self.running:
            attempt = data.draw(st.sampled_from(sorted(self.running)))
            self.sent = []
            self.carry_out(self.machine.wrote(attempt, seq))
            assert all(isinstance(frame, Output) for _, frame in self.sent)

    @rule(data=st.data())
    def exit(self, data: st.DataObject) -> None:
        if self.running:
            attempt = data.draw(st.sampled_from(sorted(self.running)))
            self.running.discard(attempt)
            self.doomed.discard(attempt)
            self.carry_out(self.machine.ended(attempt, ExitRecord(reason="exit", code=0)))
            assert self.spool[attempt] is not None

    @rule()
    def supervisor_dies(self) -> None:
        """A new instance ends what ran and adopts everything from the spool."""
        self.machine = self.new()
        self.peers, self.running, self.doomed, self.to_spawn = {}, set(), set(), []
        self.killed_unspawned, self.newest = set(), 0
        for attempt, record in self.spool.items():
            kept = record or ExitRecord(reason="lost")
            self.spool[attempt] = kept
            self.machine.adopt(attempt, 5, kept)

    # -- always

    @invariant()
    def holds_what_the_spool_holds(self) -> None:
        listing = self.machine.listing()
        assert isinstance(listing, Listing)
        held = {held.attempt: held for held in listing.held}
        assert held.keys() == self.spool.keys()
        assert len(self.machine) == len(held)
        for attempt, record in self.spool.items():
            assert held[attempt].exit == record
            state = "exited" if record else "running" if attempt in self.running else "registered"
            assert held[attempt].state == state


TestRegistry = Shell.TestCase
TestRegistry.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
