"""What a job supervisor holds, sans IO: frames and events of the shell in, effects out.

The process and the simulator run this same machine. The shell carries out effects in their
order, each before the next event is handed in, and reports what came of them.

    unknown --Start--> registered --spawned--> running --ended--> exited --Ack--> unknown
    unknown --Kill---> exited (killed before it was spawned)
    unknown --adopt--> exited (held by an earlier instance)

Invariants (rules R4 and R6 of the job model)
1. An attempt is registered, durably, before it is spawned, and is spawned at most once.
2. A repeated Start of a held attempt spawns nothing; it is answered with how the attempt stands.
3. Once a newer Hello was taken, no frame of an older incarnation or connection has an effect.
4. A Kill of an unknown attempt registers it as killed: a Start under way finds that.
5. Only an exited attempt is forgotten, by Ack; until then the supervisor doesn't end.
6. An attempt exits once: its first exit record stands.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.core.supervisor_protocol import (
    VERSION,
    Ack,
    CgroupMode,
    Exited,
    ExitRecord,
    Held,
    HeldState,
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

__all__ = [
    "AttemptRegistry",
    "Close",
    "Deliver",
    "Effect",
    "Forget",
    "Record",
    "Register",
    "Send",
    "Spawn",
    "Terminate",
]

Peer = int  # the shell's name of a connection; larger is newer


class Register(NamedTuple):
    """Make the attempt known on disk, before anything runs."""

    attempt: str
    fence: int


class Spawn(NamedTuple):
    """Spawn it; then call `spawned` or, if that failed, `ended`."""

    attempt: str
    launch: Launch


class Record(NamedTuple):
    """Write the exit record, before it is told to anyone."""

    attempt: str
    exit: ExitRecord


class Terminate(NamedTuple):
    """End its whole tree: kill signal, grace, SIGKILL; then call `ended`."""

    attempt: str
    reason: str
    grace_ms: int


class Deliver(NamedTuple):
    """Send a signal to its process group."""

    attempt: str
    signal: int


class Forget(NamedTuple):
    """Remove its spool."""

    attempt: str


class Send(NamedTuple):
    """Send a frame to a connection."""

    peer: Peer
    frame: SupervisorFrame


class Close(NamedTuple):
    """Close a connection after what was sent to it."""

    peer: Peer


Effect = Register | Spawn | Record | Terminate | Deliver | Forget | Send | Close

_KILLED_UNKNOWN: Final = "it was ended before it was started"


class _Holding:
    """One held attempt."""

    __slots__ = ("exit", "fence", "kill", "log_seq", "started", "state")

    def __init__(self, fence: int, state: HeldState) -> None:
        self.fence = fence
        self.state = state
        self.started: Started | None = None
        self.kill: Terminate | None = None  # came while the spawn was under way
        self.exit: ExitRecord | None = None
        self.log_seq = 0


class AttemptRegistry:
    """The held attempts and whose word counts."""

    def __init__(self, *, instance: str, boot_id: str, cgroup: CgroupMode, pid: int) -> None:
        self.instance = instance
        self._welcome = Welcome(VERSION, instance, boot_id, cgroup, pid, masks_secrets=True)
        self._held: dict[str, _Holding] = {}
        self._node_id = ""
        self._incarnation = 0
        self._owner: Peer | None = None

    def __len__(self) -> int:
        return len(self._held)

    @property
    def owner(self) -> Peer | None:
        """The connection whose frames count."""
        return self._owner

    def listing(self) -> Listing:
        """Everything held, in the order in which it came."""
        return Listing(
            tuple(
                Held(attempt, held.fence, held.state, held.exit, held.log_seq)
                for attempt, held in self._held.items()
            )
        )

    # -- what the node says

    def receive(self, peer: Peer, frame: NodeFrame, now_ms: int) -> list[Effect]:
        """Take a frame of a connection; `now_ms` stamps exit records made here."""
        if isinstance(frame, Hello):
            return self._hello(peer, frame)
        if peer != self._owner:
            return [Send(peer, Refused("not the owner: no Hello yet, or a newer one")), Close(peer)]
        if isinstance(frame, Start):
            return self._start(peer, frame)
        if isinstance(frame, Kill):
            return self._kill(frame, now_ms)
        if isinstance(frame, ListHeld):
            return [Send(peer, self.listing())]
        held = self._held.get(frame.attempt)
        if held is None:
            return []
        if isinstance(frame, Signal):
            return [Deliver(frame.attempt, frame.signal)] if held.state == "running" else []
        assert isinstance(frame, Ack)
        if held.state != "exited":
            return []
        del self._held[frame.attempt]
        return [Forget(frame.attempt)]

    def disconnected(self, peer: Peer) -> None:
        """A connection is gone; its attempts go on."""
        if peer == self._owner:
            self._owner = None

    def _hello(self, peer: Peer, hello: Hello) -> list[Effect]:
        refusal = ""
        if hello.version != VERSION:
            refusal = f"this job supervisor speaks version {VERSION}, not {hello.version}"
        elif self._node_id and hello.node_id != self._node_id:
            refusal = f"this job supervisor serves node {self._node_id}"
        elif hello.incarnation < self._incarnation:
            refusal = f"incarnation {self._incarnation} of this node was here"
        if refusal:
            return [Send(peer, Refused(refusal)), Close(peer)]
        effects: list[Effect] = []
        if self._owner is not None and self._owner != peer:
            effects += [
                Send(self._owner, Refused("a newer node process took over")),
                Close(self._owner),
            ]
        self._node_id, self._incarnation, self._owner = hello.node_id, hello.incarnation, peer
        return [*effects, Send(peer, self._welcome)]

    def _start(self, peer: Peer, start: Start) -> list[Effect]:
        held = self._held.get(start.attempt)
        if held is None:
            self._held[start.attempt] = _Holding(start.fence, "registered")
            return [Register(start.attempt, start.fence), Spawn(start.attempt, start.launch)]
        if held.exit is not None:
            return [Send(peer, Exited(start.attempt, held.exit))]
        return [Send(peer, held.started)] if held.started is not None else []

    def _kill(self, kill: Kill, now_ms: int) -> list[Effect]:
        held = self._held.get(kill.attempt)
        if held is not None:
            if held.exit is not None:
                return self._tell(Exited(kill.attempt, held.exit))
            terminate = Terminate(kill.attempt, kill.reason, kill.grace_ms)
            if held.state == "running":
                return [terminate]
            held.kill = terminate
            return []
        self._held[kill.attempt] = _Holding(0, "registered")
        killed = ExitRecord(
            reason="killed",
            detail=_KILLED_UNKNOWN,
            ended_ms=now_ms,
            kill_reason=kill.reason,
        )
        return [Register(kill.attempt, 0), *self.ended(kill.attempt, killed)]

    # -- what the shell says

    def spawned(self, attempt: str, pid: int, start_ticks: int, now_ms: int) -> list[Effect]:
        """Its process runs."""
        held = self._held[attempt]
        assert held.state == "registered", "spawned twice"
        held.state = "running"
        held.started = Started(attempt, pid, start_ticks, now_ms)
        return self._tell(held.started) + ([held.kill] if held.kill is not None else [])

    def wrote(self, attempt: str, next_seq: int) -> list[Effect]:
        """Its log records below `next_seq` can be read."""
        self._held[attempt].log_seq = next_seq
        return self._tell(Output(attempt, next_seq))

    def ended(self, attempt: str, exit_record: ExitRecord) -> list[Effect]:
        """Nothing of its tree is left, or nothing could be spawned."""
        held = self._held[attempt]
        if held.exit is not None:
            return []
        held.state, held.exit, held.log_seq = "exited", exit_record, exit_record.log_seq
        return [Record(attempt, exit_record), *self._tell(Exited(attempt, exit_record))]

    def adopt(self, attempt: str, fence: int, exit_record: ExitRecord) -> None:
        """An earlier instance held it; its exit record is on disk and its tree is ended."""
        held = self._held[attempt] = _Holding(fence, "exited")
        held.exit, held.log_seq = exit_record, exit_record.log_seq

    def _tell(self, frame: SupervisorFrame) -> list[Effect]:
        return [] if self._owner is None else [Send(self._owner, frame)]
