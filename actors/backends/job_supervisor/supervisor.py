"""The loop of the job supervisor: one thread, one epoll, no waiting.

Each turn: frames and pipes that are ready, children that ended, bounds that are due. What the
registry decides is carried out here; what happens is told to the registry.

Invariants
1. An effect of the registry is carried out before the next event reaches it.
2. An exit is told after its record is on disk.
3. A node that is slow, gone or hostile delays no job and loses none: it is disconnected.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from actors.backends.job_supervisor.attempts import Attempts
from actors.backends.job_supervisor.cgroup import Cgroups
from actors.backends.job_supervisor.complaints import complain
from actors.backends.job_supervisor.peer import Peer
from actors.backends.job_supervisor.poller import Poller
from actors.backends.job_supervisor.process_tree import boot_id
from actors.backends.job_supervisor.spawn import SpawnError
from actors.backends.job_supervisor.spool import Intent, Spool, directory_name
from actors.backends.job_supervisor.succession import take_over
from actors.core import attempt_registry as registry
from actors.core.supervisor_protocol import ExitRecord, Hello, ListHeld, NodeFrame
from actors.errors import InvalidInput

__all__ = ["LINGER_S", "Supervisor"]

LINGER_S: Final = 60.0  # without an attempt and without a node, it ends
_RECORD_AGAIN_S: Final = 1.0
_PEERS: Final = 16  # more connections are closed at once
_NEVER: Final = float("inf")


class Supervisor:
    """Holds the attempts of one data directory, until it was alone for `linger_s`."""

    def __init__(
        self, data: Path, listener: socket.socket, cgroups: Cgroups, linger_s: float = LINGER_S
    ) -> None:
        self._linger_s = linger_s
        self._spool = Spool(data)
        self._boot_id = boot_id()
        self._registry = registry.AttemptRegistry(
            instance=os.urandom(8).hex(),
            boot_id=self._boot_id,
            cgroup=cgroups.mode,
            pid=os.getpid(),
        )
        for attempt, fence, exit_record in take_over(self._spool, cgroups, self._boot_id):
            self._registry.adopt(attempt, fence, exit_record)
        self._poller = Poller()
        self._attempts = Attempts(
            self._spool,
            cgroups,
            self._poller,
            wrote=lambda attempt, seq: self._do(self._registry.wrote(attempt, seq)),
            ended=lambda attempt, end: self._do(self._registry.ended(attempt, end)),
        )
        self._listener = listener
        self._peers: dict[int, Peer] = {}
        self._last_peer = 0
        self._unregistered: dict[str, OSError] = {}
        self._unrecorded: dict[str, ExitRecord] = {}
        self._record_at = _NEVER
        self._alone_since = time.monotonic()
        self._carry_out: dict[type, Callable[[Any], None]] = {
            registry.Register: self._register,
            registry.Spawn: self._spawn,
            registry.Record: self._record,
            registry.Terminate: lambda e: self._attempts.terminate(e.attempt, e.reason, e.grace_ms),
            registry.Deliver: lambda e: self._attempts.deliver(e.attempt, e.signal),
            registry.Forget: self._forget,
            registry.Send: self._send,
            registry.Close: lambda e: self._drop(e.peer),
        }

    def run(self) -> None:
        """Serve until there is nothing to hold and nobody to serve."""
        wakeup, wakeup_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poller.watch(self._listener.fileno(), self._accept)
        self._poller.watch(wakeup, lambda: self._child_ended(wakeup))
        self._attempts.remove_trash()
        while not self._is_over():
            self._poller.poll(self._wait_s())
            now = time.monotonic()
            self._attempts.on_time(now)
            if now >= self._record_at:
                self._record_again()

    def _child_ended(self, wakeup: int) -> None:
        os.read(wakeup, 4096)
        self._attempts.reap()

    def _is_over(self) -> bool:
        return self._is_alone() and time.monotonic() - self._alone_since >= self._linger_s

    def _is_alone(self) -> bool:
        return self._registry.owner is None and not len(self._registry)

    def _wait_s(self) -> float:
        at = min(self._attempts.due(), self._record_at)
        if self._is_alone():
            at = min(at, self._alone_since + self._linger_s)
        return -1 if at == _NEVER else max(0.0, at - time.monotonic())

    # -- connections

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        peer = Peer(connection)
        if len(self._peers) >= _PEERS or not peer.may_speak():
            peer.close()
            return
        self._last_peer += 1
        number = self._last_peer
        self._peers[number] = peer
        self._poller.watch(peer.fileno(), lambda: self._talk(number))

    def _talk(self, number: int) -> None:
        """Take the frames of a connection; one that talks nonsense is closed."""
        peer = self._peers[number]
        try:
            if peer.has_backlog:
                peer.write()
                self._poller.watch_writes(peer.fileno(), wanted=peer.has_backlog)
            frames = peer.read()
            for frame in frames or ():
                self._receive(number, frame)
        except (InvalidInput, OSError):
            frames = None
        if frames is None:
            self._drop(number)

    def _receive(self, number: int, frame: NodeFrame) -> None:
        if not isinstance(frame, (Hello, ListHeld)):
            directory_name(frame.attempt)  # what is no attempt's key never becomes a path
        self._do(self._registry.receive(number, frame, time.time_ns() // 1_000_000))

    def _drop(self, number: int) -> None:
        peer = self._peers.pop(number, None)
        if peer is None:
            return
        self._poller.unwatch(peer.fileno())
        peer.close()
        self._registry.disconnected(number)
        self._alone_since = time.monotonic()

    # -- effects

    def _do(self, effects: list[registry.Effect]) -> None:
        for effect in effects:
            self._carry_out[type(effect)](effect)

    def _send(self, effect: registry.Send) -> None:
        peer = self._peers.get(effect.peer)
        if peer is None:
            return
        if not peer.send(effect.frame):
            self._drop(effect.peer)
        elif peer.has_backlog:
            self._poller.watch_writes(peer.fileno(), wanted=True)

    def _register(self, effect: registry.Register) -> None:
        intent = Intent(1, effect.attempt, effect.fence, self._registry.instance, self._boot_id)
        try:
            self._spool.register(intent)
        except OSError as error:  # then it must not be spawned
            self._unregistered[effect.attempt] = error

    def _spawn(self, effect: registry.Spawn) -> None:
        attempt = effect.attempt
        try:
            if (error := self._unregistered.get(attempt)) is not None:
                raise SpawnError(f"the spool can't be written ({error.strerror}); make room on it")
            pid, start_ticks, now_ms = self._attempts.spawn(attempt, effect.launch)
        except SpawnError as failure:
            now_ms = time.time_ns() // 1_000_000
            failed = ExitRecord(
                reason="spawn", detail=str(failure), started_ms=now_ms, ended_ms=now_ms
            )
            self._do(self._registry.ended(attempt, failed))
            return
        self._do(self._registry.spawned(attempt, pid, start_ticks, now_ms))

    def _record(self, effect: registry.Record) -> None:
        try:
            self._spool.record(effect.attempt, effect.exit)
        except OSError as error:
            # The node is told all the same: the registry has it. A successor would not know it.
            complain(f"exit of {effect.attempt} not written: {error}")
            self._keep_unrecorded(effect.attempt, effect.exit)

    def _keep_unrecorded(self, attempt: str, exit_record: ExitRecord) -> None:
        self._unrecorded[attempt] = exit_record
        self._record_at = time.monotonic() + _RECORD_AGAIN_S

    def _record_again(self) -> None:
        """Write the exits that could not be written when they came."""
        unrecorded, self._unrecorded = self._unrecorded, {}
        self._record_at = _NEVER
        for attempt, exit_record in unrecorded.items():
            try:
                self._spool.record(attempt, exit_record)
            except OSError:
                self._keep_unrecorded(attempt, exit_record)

    def _forget(self, effect: registry.Forget) -> None:
        self._unregistered.pop(effect.attempt, None)
        self._unrecorded.pop(effect.attempt, None)
        self._alone_since = time.monotonic()
        try:
            if self._spool.forget(effect.attempt):
                self._attempts.remove_trash()
        except OSError as error:  # it stays; a successor reports it once more, to be forgotten
            complain(f"{effect.attempt} not removed: {error}")
