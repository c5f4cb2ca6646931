"""The archive of job logs: found again after restarts and crashes, retained, deleted."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from actors.backends.job_log_archive import Archive
from actors.backends.job_logs import JobLogs
from actors.backends.job_supervisor.log_writer import LogWriter
from actors.core.log_record import STDOUT
from actors.core.supervisor_protocol import ExitRecord
from actors.errors import InvalidInput, NotFound


def key(job: str) -> str:
    return f"attempt/{job}/00000/0001"


def spooled(data: Path, job: str, text: bytes, ended_ms: int = 0) -> Path:
    """Leave an exited attempt in the spool."""
    directory = data / "spool" / f"{job}.00000.0001"
    directory.mkdir(parents=True)
    writer = LogWriter(str(directory))
    for start in range(0, len(text), 65536):
        writer.feed(STDOUT, text[start : start + 65536], ended_ms)
    writer.close(ended_ms)
    end = ExitRecord(reason="exit", code=0, ended_ms=ended_ms, log_seq=writer.next_seq)
    (directory / "exit").write_bytes(msgspec.json.encode((1, end)))
    return directory


def archived(data: Path, logs: JobLogs, job: str, text: bytes, ended_ms: int = 0) -> None:
    directory = spooled(data, job, text, ended_ms)
    logs.archive(key(job))
    shutil.rmtree(directory)


def text_of(logs: JobLogs, job: str) -> bytes:
    page = logs.read(key(job), limit=1_000_000)
    assert page.gaps == []
    assert page.end
    return b"".join(record.data for record in page.records)


LARGE = b"line of a large log\n" * 40_000


@pytest.mark.parametrize("index", ["kept", "missing", "garbage"])
def test_a_restart_finds_everything(tmp_path: Path, index: str) -> None:
    logs = JobLogs(tmp_path)
    texts = {f"j{i}": b"%d\n" % i * i for i in range(30)} | {"large": LARGE}
    for job, text in texts.items():
        archived(tmp_path, logs, job, text)
    logs.delete("j7")
    logs.close()
    files = [path for path in (tmp_path / "joblogs").rglob("*") if path.is_file()]
    assert len(files) < 12  # small logs share files
    path = tmp_path / "joblogs" / "index.sqlite"
    if index == "missing":
        path.unlink()
    elif index == "garbage":
        path.write_bytes(b"not a database" * 1000)
    logs = JobLogs(tmp_path)
    for job, text in texts.items():
        if job == "j7":
            with pytest.raises(NotFound):
                logs.read(key(job))
        else:
            assert text_of(logs, job) == text
    logs.close()


def test_archiving_again_after_a_crash(tmp_path: Path) -> None:
    """Killed behind the bytes and before the index, or between two files: nothing is lost."""
    small, large = spooled(tmp_path, "small", b"s\n"), spooled(tmp_path, "large", LARGE)
    logs = JobLogs(tmp_path)
    logs.archive(key("small"))
    logs.close()
    (tmp_path / "joblogs" / "index.sqlite").unlink()
    target = tmp_path / "joblogs" / "large" / "large.00000.0001"
    target.mkdir()
    chunks = sorted(large.glob("*.chunk"))
    for chunk in chunks[:-1]:
        chunk.rename(target / chunk.name)
    logs = JobLogs(tmp_path)
    for job in ("small", "large"):
        logs.archive(key(job))
        logs.archive(key(job))
    shutil.rmtree(small)
    shutil.rmtree(large)
    assert text_of(logs, "small") == b"s\n"
    assert text_of(logs, "large") == LARGE
    logs.close()
    segments = (tmp_path / "joblogs" / "packed").glob("*.seg")
    assert sum(path.read_bytes().count(b"attempt/small") for path in segments) == 1


def test_a_torn_segment_hides_nothing_behind_it(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path)
    archived(tmp_path, logs, "a", b"a\n")
    logs.close()
    (segment,) = (tmp_path / "joblogs" / "packed").glob("*.seg")
    with segment.open("ab") as file:
        file.write(b"\x10\x00\x00\x00torn")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{tmp_path}/joblogs/index.sqlite{suffix}").unlink(missing_ok=True)
    logs = JobLogs(tmp_path)
    archived(tmp_path, logs, "b", b"b\n")
    logs.close()
    (tmp_path / "joblogs" / "index.sqlite").unlink()
    logs = JobLogs(tmp_path)
    assert (text_of(logs, "a"), text_of(logs, "b")) == (b"a\n", b"b\n")
    logs.close()


def test_deleted_bytes_are_gone(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path)
    archived(tmp_path, logs, "a", b"keep-a\n")
    archived(tmp_path, logs, "b", b"secret-b\n")
    archived(tmp_path, logs, "c", b"keep-c\n")
    archived(tmp_path, logs, "big", b"secret-big\n" + LARGE)
    logs.delete("b")
    logs.delete("big")
    logs.delete("never-was")
    held = b"".join(
        path.read_bytes() for path in (tmp_path / "joblogs").rglob("*") if path.is_file()
    )
    assert b"secret" not in held
    assert (text_of(logs, "a"), text_of(logs, "c")) == (b"keep-a\n", b"keep-c\n")
    logs.close()


def test_retention_by_age_and_by_size(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path)
    archived(tmp_path, logs, "old", LARGE, ended_ms=1_000)
    archived(tmp_path, logs, "mid", LARGE, ended_ms=50_000)
    archived(tmp_path, logs, "new", LARGE, ended_ms=90_000)
    assert logs.prune(100_000, keep_s=1_000, keep_bytes=10**12) == 0
    assert logs.prune(100_000, keep_s=60, keep_bytes=10**12) == 1
    with pytest.raises(NotFound):
        logs.read(key("old"))
    assert logs.prune(100_000, keep_s=60, keep_bytes=len(LARGE) * 3 // 2) == 1
    with pytest.raises(NotFound):
        logs.read(key("mid"))
    assert text_of(logs, "new") == LARGE
    archived(tmp_path, logs, "packed", b"p\n", ended_ms=90_000)
    assert logs.prune(10**9, keep_s=60, keep_bytes=10**12) == 2
    archived(tmp_path, logs, "after", b"q\n", ended_ms=10**9)
    assert text_of(logs, "after") == b"q\n"
    logs.close()


def test_what_is_not_there(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path)
    with pytest.raises(NotFound):
        logs.read(key("none"))
    with pytest.raises(NotFound):
        logs.archive(key("none"))
    with pytest.raises(InvalidInput):
        logs.read("attempt/../0/1")
    logs.close()


def test_segments_are_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.backends.job_log_archive._SEGMENT_BYTES", 2_000)
    archive = Archive(tmp_path / "joblogs")
    archive.close()
    logs = JobLogs(tmp_path)
    for i in range(20):
        archived(tmp_path, logs, f"j{i}", b"x" * 400 + b"\n", ended_ms=i)
    assert len(list((tmp_path / "joblogs" / "packed").glob("*.seg"))) > 3
    gone = logs.prune(0, keep_s=0, keep_bytes=5_000)
    assert 5 <= gone < 20
    assert text_of(logs, "j19") == b"x" * 400 + b"\n"
    logs.close()
