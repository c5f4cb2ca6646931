"""The running attempts of a job supervisor: spawn, drain, bound, reap, sweep, record.

Invariants
1. Children are waited for here and nowhere else; a pid is used only before that.
2. An attempt is reported ended once: its tree empty, its log closed, its output read.
3. Whatever a job does, a turn of the loop takes a bounded time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from actors.backends.job_supervisor.cgroup import Cgroups, Group
from actors.backends.job_supervisor.complaints import complain
from actors.backends.job_supervisor.log_writer import LogWriter
from actors.backends.job_supervisor.orphans import Orphans
from actors.backends.job_supervisor.poller import Poller
from actors.backends.job_supervisor.process import Process, signal_number
from actors.backends.job_supervisor.process_tree import ATTEMPT_VARIABLE, read_stat
from actors.backends.job_supervisor.spawn import (
    Plan,
    SpawnError,
    base_environment,
    find_user,
    spawn,
)
from actors.backends.job_supervisor.spool import (
    PASSABLE,
    Spawned,
    Spool,
    directory_name,
    last_line,
    write_whole,
)
from actors.core.redact import Redactor
from actors.core.secret_forms import forms_of
from actors.core.supervisor_protocol import ExitRecord, Launch

__all__ = ["Attempts"]

_TELL_S: Final = 0.02  # new output of an attempt is told at most this often
_SWEEP_S: Final = 0.01  # an end that is not complete is looked at again
_WATCH_S: Final = 1.0  # daemons of running and of ended attempts are looked for
_NEVER: Final = float("inf")


class Attempts:
    """Everything that runs. `wrote` and `ended` are called with what happened."""

    def __init__(
        self,
        spool: Spool,
        cgroups: Cgroups,
        poller: Poller,
        *,
        wrote: Callable[[str, int], None],
        ended: Callable[[str, ExitRecord], None],
    ) -> None:
        self._spool = spool
        self._cgroups = cgroups
        self._poller = poller
        self._wrote = wrote
        self._ended = ended
        self._environment = base_environment(os.environ)
        self._by_pid: dict[int, Process] = {}
        self._running: dict[str, Process] = {}
        self._ending: dict[str, Process] = {}
        self._orphans = Orphans()
        self._helpers: set[int] = set()
        self._more_trash = False
        self._unsaid: dict[str, Process] = {}  # whose output is to be told
        self._tell_at = _NEVER
        self._sweep_at = _NEVER
        self._due_at = _NEVER  # no later than any running process's due()

    def __len__(self) -> int:
        return len(self._running) + len(self._ending)

    # -- what the registry wants

    def spawn(self, attempt: str, launch: Launch) -> tuple[int, int, int]:
        """Spawn; return (pid, start ticks, Unix milliseconds). Raises SpawnError."""
        if launch.refusal:
            raise SpawnError(launch.refusal)
        directory = self._spool.path(attempt)
        group = self._make_group(attempt, launch)
        try:
            child = spawn(self._plan(attempt, launch, directory, group))
        except SpawnError:
            if group is not None:
                group.remove()
            raise
        now, now_ms = time.monotonic(), _now_ms()
        status = read_stat(child.pid)
        start_ticks = status.start_ticks if status is not None else 0
        spawned = Spawned(child.pid, start_ticks, None if group is None else group.name)
        try:
            self._spool.spawned(attempt, spawned)
        except OSError as error:  # a successor finds it by its mark all the same
            complain(f"the process of {attempt} is not written down: {error}")
        process = Process(
            attempt,
            launch,
            child,
            log=LogWriter(
                directory,
                log_bytes=launch.log_bytes,
                line_bytes=launch.line_bytes,
                masked=_secret_texts(launch),
            ),
            output=f"{directory}/output",
            group=group,
            now=now,
            now_ms=now_ms,
        )
        self._by_pid[child.pid] = self._running[attempt] = process
        for fd in child.stdout, child.stderr:
            self._poller.watch(fd, partial(self._read, process, fd))
        self._due_at = min(self._due_at, process.due())
        self._sweep_at = min(self._sweep_at, now + _WATCH_S)
        return child.pid, start_ticks, now_ms

    def terminate(self, attempt: str, reason: str, grace_ms: int) -> None:
        """End a running attempt; one that has just exited keeps its own end."""
        self.reap()
        process = self._running.get(attempt)
        if process is not None:
            process.terminate("killed", reason, grace_ms / 1000, time.monotonic())
            self._due_at = min(self._due_at, process.due())

    def deliver(self, attempt: str, number: int) -> None:
        """Send a signal to a running attempt's process group."""
        process = self._running.get(attempt)
        if process is not None:
            process.deliver(number)

    def remove_trash(self) -> None:
        """Remove what is too much to be removed here, in a process of its own."""
        if self._helpers:
            self._more_trash = True
            return
        with suppress(OSError):
            trash = self._spool.take_trash()
            if trash is None:
                return
            rm = ("rm", "-rf", "--", str(trash))
            self._helpers.add(os.posix_spawn("/bin/rm", rm, self._environment))

    # -- time

    def due(self) -> float:
        """When `on_time` has something to do (monotonic seconds)."""
        return min(self._tell_at, self._sweep_at, self._due_at)

    def on_time(self, now: float) -> None:
        """Do what is due."""
        if now >= self._due_at:
            now_ms = _now_ms()
            for process in self._running.values():
                if now >= process.due():
                    process.tick(now, now_ms)
                    self._say(process, now)
            self._due_at = min((p.due() for p in self._running.values()), default=_NEVER)
        if now >= self._sweep_at:
            self._sweep()
        if now >= self._tell_at:
            self._tell_at = _NEVER
            unsaid, self._unsaid = self._unsaid, {}
            for attempt, process in unsaid.items():
                self._wrote(attempt, process.log.next_seq)

    # -- output

    def _read(self, process: Process, fd: int) -> None:
        now = time.monotonic()
        if process.read(fd, now, _now_ms()):
            self._due_at = min(self._due_at, process.due())
            self._say(process, now)
        else:
            self._poller.unwatch(fd)
            del process.pipes[fd]
            os.close(fd)

    def _say(self, process: Process, now: float) -> None:
        self._unsaid[process.attempt] = process
        self._tell_at = min(self._tell_at, now + _TELL_S)

    # -- the end

    def reap(self) -> None:
        """Wait for every child that ended, then end the attempts of those that led one."""
        reaped = False
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            reaped = True
            process = self._by_pid.pop(pid, None)
            if process is None:
                self._orphans.reaped(pid)
                if pid in self._helpers:
                    self._helper_ended(pid)
                continue
            process.leader_exited(status, usage)
            del self._running[process.attempt]
            self._ending[process.attempt] = process
        if reaped and (self._ending or len(self._orphans)):
            self._sweep()

    def _helper_ended(self, pid: int) -> None:
        self._helpers.discard(pid)
        if self._more_trash:
            self._more_trash = False
            self.remove_trash()

    def _sweep(self) -> None:
        """Kill what is left of ended attempts; complete those of which nothing is."""
        attempts = {process.mark: attempt for attempt, process in self._ending.items()}
        attempts.update((process.mark, attempt) for attempt, process in self._running.items())
        self._orphans.sweep(self._by_pid.keys() | self._helpers, attempts, self._running)
        for process in list(self._ending.values()):
            if process.group is not None and process.group.populated():
                process.group.kill()
            elif not self._orphans.hold(process.attempt):
                self._complete(process)
        now = time.monotonic()
        if self._ending:
            self._sweep_at = now + _SWEEP_S
        elif self._running or len(self._orphans):
            self._sweep_at = now + _WATCH_S
        else:
            self._sweep_at = _NEVER

    def _complete(self, process: Process) -> None:
        attempt = process.attempt
        del self._ending[attempt]
        self._unsaid.pop(attempt, None)
        now_ms = _now_ms()
        process.drain(now_ms)
        for fd in process.pipes:
            self._poller.unwatch(fd)
            os.close(fd)
        exit_record = self._with_output(process, process.exit_record(now_ms))
        if process.group is not None:
            process.group.remove()
        self._ended(attempt, exit_record)

    def _with_output(self, process: Process, exit_record: ExitRecord) -> ExitRecord:
        directory = Path(self._spool.path(process.attempt))
        try:
            if process.output_size() > process.output_bytes:
                raise OSError(f"it is larger than {process.output_bytes} bytes")
            line, size, path = last_line(directory)
        except OSError as error:
            problem = f"$JOBD_OUTPUT can't be used: {error.strerror or error}"
            return msgspec.structs.replace(exit_record, output_error=problem)
        if not size:
            return exit_record
        if line is not None and Redactor(_secret_texts(process.launch)).finds(line):
            problem = "$JOBD_OUTPUT holds the value of a secret, which would be stored in clear"
            return msgspec.structs.replace(exit_record, output_error=problem)
        return msgspec.structs.replace(exit_record, output=line, output_size=size, output_path=path)

    # -- preparing a spawn

    def _make_group(self, attempt: str, launch: Launch) -> Group | None:
        if not (launch.memory_bytes or launch.cpu_milli) or self._cgroups.mode == "none":
            return None
        try:
            group = self._cgroups.create(directory_name(attempt))
            group.limit(memory_bytes=launch.memory_bytes, cpu_milli=launch.cpu_milli)
        except OSError as error:
            raise SpawnError(
                f"the job's cgroup can't be set up ({error.strerror}); ask for other `resources`"
            ) from error
        return group

    def _plan(self, attempt: str, launch: Launch, directory: str, group: Group | None) -> Plan:
        """Make the files that the job is to find. Raises SpawnError."""
        try:
            signal_number(launch.kill_signal)
        except ValueError as error:
            raise SpawnError(f"{error}; name one as in `kill -l`") from error
        user = find_user(launch.user) if launch.user is not None else None
        environment = {
            **self._environment,
            **launch.secrets.by_variable,
            **launch.environment,
            "JOBD_OUTPUT": f"{directory}/output",
            ATTEMPT_VARIABLE: attempt,
        }
        if user is not None and "HOME" not in launch.environment:
            environment["HOME"] = user.pw_dir
        made = []
        try:
            if launch.cwd is None:
                with suppress(FileExistsError):  # of a directory in use again
                    os.mkdir(f"{directory}/work", 0o700)  # noqa: PTH102 - hot path
                made.append(f"{directory}/work")
            if launch.input_json is not None:
                environment["JOBD_INPUT"] = f"{directory}/input.json"
                made.append(environment["JOBD_INPUT"])
                _write(environment["JOBD_INPUT"], launch.input_json)
            if user is not None:
                made.append(environment["JOBD_OUTPUT"])
                _write(environment["JOBD_OUTPUT"], b"")
                os.chmod(directory, PASSABLE)  # noqa: PTH101 - to pass, not to look
                for path in made:
                    os.chown(path, user.pw_uid, user.pw_gid)
        except OSError as error:
            raise SpawnError(f"the spool can't be written: {error.strerror}") from error
        stdin = environment.get("JOBD_INPUT") if launch.stdin_input else None
        return Plan(
            launch=launch,
            environment=environment,
            cwd=launch.cwd if launch.cwd is not None else f"{directory}/work",
            stdin=stdin or os.devnull,
            user=user,
            groups=os.getgrouplist(user.pw_name, user.pw_gid) if user is not None else (),
            join_files=group.join_files if group is not None else (),
        )


def _secret_texts(launch: Launch) -> set[bytes]:
    """Return what must not be seen of an attempt. Kept nowhere: the next one has its own."""
    return {form for value in launch.secrets.by_variable.values() for form in forms_of(value)}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_whole(fd, data)
    finally:
        os.close(fd)
