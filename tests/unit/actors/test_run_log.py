"""What the disk of the job logs refuses or has lost crashes no actor and keeps no slot."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.backends.artifacts import Artifacts
from actors.backends.job_logs import JobLogs
from actors.backends.job_supervisor.log_writer import LogWriter
from actors.backends.job_supervisor.spool import Intent, Spool
from actors.core.supervisor_protocol import ExitRecord
from actors.errors import ReadOnly
from actors.model.ids import make_id
from actors.run_log import Archive, Archived, Forget, ReadLog, RunLog
from actors.runtime import SimHost

JOB = make_id(1_700_000_000_000, 1)
ATTEMPT = f"attempt/{JOB}/00000/0001"


@contextmanager
def no_room() -> Iterator[None]:
    """No file may grow: the nearest to a full disk that a test may have of its own."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SimHost]:
    logs = JobLogs(tmp_path)
    host = SimHost(1)
    host.spawn(lambda: RunLog(logs, Artifacts(tmp_path / "artifacts")), "/run_log")
    yield host
    logs.close()


def ended_attempt(data: Path, **exit_: Any) -> None:
    spool = Spool(data)
    spool.register(Intent(1, ATTEMPT, 1, "instance", "boot"))
    spool.record(ATTEMPT, ExitRecord(reason="exit", code=0, **exit_))


def answer(host: SimHost, message: object) -> Callable[[], Any]:
    future = host.ask("/run_log", message)
    host.run_for(1.0)
    return future.get


def restarts(host: SimHost) -> int:
    (row,) = host.inspect()
    return row.restarts


def test_an_attempt_that_left_nothing_is_archived(host: SimHost) -> None:
    assert answer(host, Archive(ATTEMPT))() == Archived(ATTEMPT, None)


def test_a_log_is_archived_once_there_is_room(host: SimHost, tmp_path: Path) -> None:
    ended_attempt(tmp_path, log_seq=3)
    with no_room():
        refused = answer(host, Archive(ATTEMPT))
    with pytest.raises(ReadOnly):
        refused()
    assert answer(host, Archive(ATTEMPT))() == Archived(ATTEMPT, None)
    assert restarts(host) == 0


def test_a_log_is_kept_whose_exit_record_found_no_room(host: SimHost, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.register(Intent(1, ATTEMPT, 1, "instance", "boot"))
    log = LogWriter(spool.path(ATTEMPT), log_bytes=1000, line_bytes=100)
    log.feed(1, b"said\n", 1_700_000_000_000)
    log.close(1_700_000_000_000)
    spool.spawned(ATTEMPT, None)
    assert answer(host, Archive(ATTEMPT))() == Archived(ATTEMPT, None)
    spool.forget(ATTEMPT)
    page = answer(host, ReadLog(ATTEMPT, 0, 10))()
    assert [record.data for record in page.records] == [b"said\n"]
    assert page.end
    assert not page.gaps


def test_an_output_is_taken_once_there_is_room(host: SimHost, tmp_path: Path) -> None:
    ended_attempt(tmp_path, log_seq=3)
    output = tmp_path / "output"
    output.write_text('"large"')
    with no_room():
        refused = answer(host, Archive(ATTEMPT, str(output)))
    with pytest.raises(ReadOnly):
        refused()
    archived = answer(host, Archive(ATTEMPT, str(output)))()
    assert archived.output.digest
    assert restarts(host) == 0


def test_a_job_is_forgotten_once_the_disk_lets_it(host: SimHost, tmp_path: Path) -> None:
    ended_attempt(tmp_path, log_seq=3)
    answer(host, Archive(ATTEMPT))()
    logs = JobLogs(tmp_path)
    assert logs.read(ATTEMPT).end
    with no_room():
        host.tell("/run_log", Forget(JOB))
        host.run_for(0.5)
    host.run_for(3.0)
    Spool(tmp_path).forget(ATTEMPT)
    assert logs._archive.find(ATTEMPT) is None
    assert restarts(host) == 0
    logs.close()
