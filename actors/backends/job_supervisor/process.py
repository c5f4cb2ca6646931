"""One running attempt: its process, its pipes, its bounds.

    running --timeout, idle, kill, output cap--> terminating --grace over--> killed
       any of them --leader exits--> ending --tree empty--> done

Invariants
1. The first cause of an end stands; an exit seen before a signal was sent wins over it.
2. The leader's exit ends the attempt; what is left of its tree is killed, never waited for.
3. A pipe that a stranger holds open doesn't delay the end: it is read until it would block.
"""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress
from resource import struct_rusage
from typing import Final

from actors.backends.job_supervisor.cgroup import Group
from actors.backends.job_supervisor.log_writer import LogWriter
from actors.backends.job_supervisor.process_tree import descendants_of, kill_all, mark_of
from actors.backends.job_supervisor.spawn import Child
from actors.core.log_record import STDERR, STDOUT
from actors.core.supervisor_protocol import ExitReason, ExitRecord, Launch
from actors.limits import OUTPUT_BYTES

__all__ = ["READ_BYTES", "Process", "signal_number"]

READ_BYTES: Final = 64 * 1024
_DRAIN_READS: Final = 64  # of a pipe after the end; a stranger may write for ever
_OPEN_LINE_S: Final = 0.1  # a line without its end is shown after this
_OUTPUT_CHECK_S: Final = 1.0
_NEVER: Final = float("inf")


def signal_number(name: str) -> int:
    """Return the number of `TERM` or `SIGTERM`. Raises ValueError."""
    try:
        return signal.Signals["SIG" + name.upper().removeprefix("SIG")]
    except KeyError:
        raise ValueError(f"there is no signal {name!r}") from None


def _own_rss_bytes(usage: struct_rusage) -> int:
    """Return the most memory that a job had; 0 when it is unknown.

    The kernel counts from the spawn on, when the job still was this process: up to this one's own
    size, it is not known what of it was the job's.
    """
    if usage.ru_maxrss <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        return 0
    return usage.ru_maxrss * 1024


class Process:
    """A spawned attempt. Times given are monotonic seconds unless they end in `_ms` (Unix)."""

    def __init__(
        self,
        attempt: str,
        launch: Launch,
        child: Child,
        *,
        log: LogWriter,
        output: str,
        group: Group | None,
        now: float,
        now_ms: int,
    ) -> None:
        self.attempt = attempt
        self.launch = launch
        self.pid = child.pid
        self.mark = mark_of(attempt)
        self.group = group
        self.log = log
        self.pipes = {child.stdout: STDOUT, child.stderr: STDERR}
        self.ended = False  # the leader was waited for
        self._output = output
        self._started_ms = now_ms
        self._timeout_at = now + launch.timeout_ms / 1000 if launch.timeout_ms else _NEVER
        self._idle_s = launch.idle_timeout_ms / 1000 if launch.idle_timeout_ms else _NEVER
        self._heard_at = now
        self._open_line_at = _NEVER
        self._check_at = now + _OUTPUT_CHECK_S
        self._kill_at = _NEVER
        self._cause: ExitReason | None = None
        self._kill_reason = ""
        self._status = 0
        self._usage: struct_rusage | None = None

    # -- output

    def read(self, fd: int, now: float, now_ms: int) -> bool:
        """Take what a pipe holds; False at its end."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        self._heard_at = now
        self.log.feed(self.pipes[fd], data, now_ms)
        self._open_line_at = now + _OPEN_LINE_S if self.log.has_open_line else _NEVER
        return True

    def drain(self, now_ms: int) -> None:
        """Take what the pipes still hold, without waiting for their writers."""
        for fd, stream in self.pipes.items():
            for _ in range(_DRAIN_READS):
                try:
                    data = os.read(fd, READ_BYTES)
                except BlockingIOError:
                    break
                if not data:
                    break
                self.log.feed(stream, data, now_ms)

    # -- time

    def due(self) -> float:
        """When `tick` has something to do."""
        if self._cause is not None or self.ended:
            return min(self._kill_at, self._open_line_at)
        return min(
            self._timeout_at, self._heard_at + self._idle_s, self._open_line_at, self._check_at
        )

    def tick(self, now: float, now_ms: int) -> None:
        """Enforce the bounds that are due."""
        if now >= self._open_line_at:
            self._open_line_at = _NEVER
            self.log.flush(now_ms)
        if self.ended:
            return
        grace_s = self.launch.kill_grace_ms / 1000
        if now >= self._kill_at:
            self._kill_at = _NEVER
            self.kill_tree()
        elif self._cause is not None:
            return
        elif now >= self._timeout_at:
            self.terminate("timeout", "", grace_s, now)
        elif now >= self._heard_at + self._idle_s:
            self.terminate("idle_timeout", "", grace_s, now)
        elif now >= self._check_at:
            self._check_at = now + _OUTPUT_CHECK_S
            if self.output_size() > self.output_bytes:
                self.terminate("killed", "output", grace_s, now)

    def terminate(self, cause: ExitReason, reason: str, grace_s: float, now: float) -> None:
        """Begin the end: the kill signal now, SIGKILL to the tree when the grace is over."""
        if self.ended:
            return
        if self._cause is None:
            self._cause, self._kill_reason = cause, reason
            if grace_s > 0:
                self.deliver(signal_number(self.launch.kill_signal))
                self.deliver(signal.SIGCONT)  # a stopped job could not take it
        if grace_s <= 0:
            self.kill_tree()
        else:
            self._kill_at = min(self._kill_at, now + grace_s)

    def deliver(self, number: int) -> None:
        """Send a signal to the process group."""
        if not self.ended:
            with suppress(OSError):
                os.killpg(self.pid, number)

    def kill_tree(self) -> None:
        """SIGKILL everything that can be seen of it; the leader's exit brings the rest."""
        if self.group is not None:
            self.group.kill()
        below = descendants_of(self.pid)  # before the leader's death moves them
        self.deliver(signal.SIGKILL)
        kill_all(below)

    # -- the end

    def leader_exited(self, status: int, usage: struct_rusage) -> None:
        """It was waited for: from here on its pid may be anyone's."""
        self.ended, self._status, self._usage = True, status, usage

    @property
    def output_bytes(self) -> int:
        """The bound of $JOBD_OUTPUT."""
        return self.launch.output_bytes or OUTPUT_BYTES

    def output_size(self) -> int:
        """Bytes in $JOBD_OUTPUT now."""
        try:
            return os.lstat(self._output).st_size
        except OSError:
            return 0

    def exit_record(self, now_ms: int) -> ExitRecord:
        """What is known of its end, all but the output; closes the log."""
        assert self._usage is not None, "still running"
        self.log.close(now_ms)
        code = os.waitstatus_to_exitcode(self._status)
        out_of_memory = self.group is not None and self.group.out_of_memory()
        detail = ""
        if self._cause is not None:
            reason = self._cause
        elif out_of_memory and code != 0:
            reason = "oom"
            detail = f"it needed more than its {self.launch.memory_bytes} bytes of memory"
        else:
            reason = "exit" if code >= 0 else "signal"
        if self.log.error:
            detail = "; ".join(filter(None, (detail, f"its log is incomplete: {self.log.error}")))
        return ExitRecord(
            reason=reason,
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            detail=detail,
            started_ms=self._started_ms,
            ended_ms=now_ms,
            cpu_ms=round((self._usage.ru_utime + self._usage.ru_stime) * 1000),
            max_rss_bytes=_own_rss_bytes(self._usage),
            log_seq=self.log.next_seq,
            log_dropped_bytes=self.log.dropped_bytes,
            kill_reason=self._kill_reason,
        )
