"""What a new instance does with the attempts of a dead one: end what runs, record, report.

An attempt whose exit was recorded keeps it. Any other is `lost`: its leader's status went to a
process that is no more, so nobody can say how it would have ended. Its tree is killed first, by
its cgroup if it had one, else by its processes' marks, so that nothing runs on unseen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.backends.job_supervisor.cgroup import Cgroups
from actors.backends.job_supervisor.process_tree import (
    ProcessStat,
    attempt_of_process,
    kill_all,
    mark_of,
    mark_of_process,
    read_stat,
    survivors,
)
from actors.backends.job_supervisor.spool import Intent, Spawned, Spool, logged_seq, read_exit
from actors.core.supervisor_protocol import ExitRecord

__all__ = ["take_over"]

_ROUNDS: Final = 500  # of 10 ms: what SIGKILL doesn't end by then waits for a disk
_ROUND_S: Final = 0.01

_Found = tuple[str, Path, Intent | None, Spawned | None]


def take_over(
    spool: Spool, cgroups: Cgroups, boot_id: str
) -> Iterator[tuple[str, int, ExitRecord]]:
    """Yield (attempt, fence, exit record) of everything an earlier instance held."""
    open_ones: list[_Found] = []
    for found in spool.found():
        attempt, directory, intent, _ = found
        exit_record = read_exit(directory)
        if exit_record is None:
            open_ones.append(found)
        else:
            yield attempt, intent.fence if intent else 0, exit_record
    if not open_ones:
        return
    _end_trees(open_ones, cgroups, boot_id)
    for attempt, directory, intent, spawned in open_ones:
        detail = "its job supervisor died"
        if intent is not None and intent.boot_id != boot_id:
            detail = "the machine was restarted"
        if spawned is None:
            detail += " before it was started" if intent is None else " while it was started"
        lost = ExitRecord(
            reason="lost",
            detail=detail,
            ended_ms=time.time_ns() // 1_000_000,
            log_seq=logged_seq(directory),
        )
        spool.record(attempt, lost)
        yield attempt, intent.fence if intent else 0, lost


def _end_trees(open_ones: list[_Found], cgroups: Cgroups, boot_id: str) -> None:
    """Kill until nothing is left of these attempts."""
    attempts = {attempt for attempt, *_ in open_ones}
    marks = {mark_of(attempt) for attempt in attempts}
    leaders: dict[int, int] = {}  # pid to start ticks, of this boot only
    groups = []
    for _, _, intent, spawned in open_ones:
        if spawned is None or intent is None or intent.boot_id != boot_id:
            continue
        leaders[spawned.pid] = spawned.start_ticks
        group = cgroups.find(spawned.group) if spawned.group is not None else None
        if group is not None:
            groups.append(group)

    def belongs(pid: int, status: ProcessStat) -> bool:
        ticks = leaders.get(status.session)
        if ticks is not None and status.start_ticks >= ticks:
            leader = read_stat(status.session)  # a reused pid leads another session
            if leader is None or leader.start_ticks == ticks:
                return True
        return mark_of_process(pid) in marks or attempt_of_process(pid) in attempts

    for _ in range(_ROUNDS):
        for group in groups:
            group.kill()
        left = survivors(belongs)
        kill_all(left)
        if not left and not any(group.populated() for group in groups):
            break
        time.sleep(_ROUND_S)
    for group in groups:
        group.remove()
