"""Whatever is written in whatever pieces comes back as it was; damage becomes a gap."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.backends.job_logs import JobLogs
from actors.backends.job_supervisor.log_writer import LogWriter
from actors.backends.job_supervisor.spool import logged_seq
from actors.core.log_record import (
    PARTIAL,
    STDERR,
    STDOUT,
    SUPERVISOR,
    LogRecord,
    decode_record,
    encode_record,
    line_count,
    lines_of,
)
from actors.core.ports import LogPage
from actors.core.supervisor_protocol import ExitRecord

KEY = "attempt/j/00000/0001"
TEXT = st.lists(
    st.sampled_from([b"a", b"bc\n", b"\n", b"\0\xff", b"x" * 70, b"y" * 30 + b"\n"]), max_size=8
).map(b"".join)
PIECES = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), TEXT.filter(bool)), max_size=12)


def write(
    data: Path, pieces: list[tuple[int, bytes]], *, log_bytes: int = 0, line_bytes: int = 64
) -> LogWriter:
    """Write pieces as an attempt that then exited."""
    directory = data / "spool" / "j.00000.0001"
    directory.mkdir(parents=True)
    writer = LogWriter(str(directory), log_bytes=log_bytes, line_bytes=line_bytes)
    for i, (stream, piece) in enumerate(pieces):
        writer.feed(stream, piece, i)
        if i % 5 == 4:
            writer.flush(i)
    writer.close(99)
    exit_record = ExitRecord(reason="exit", code=0, log_seq=writer.next_seq)
    (directory / "exit").write_bytes(msgspec.json.encode((1, exit_record)))
    assert logged_seq(directory) == writer.next_seq
    return writer


def read(data: Path, **how: int) -> LogPage:
    logs = JobLogs(data)
    try:
        return logs.read(KEY, **how)
    finally:
        logs.close()


@settings(max_examples=60, deadline=None)
@given(pieces=PIECES, step=st.integers(1, 7))
def test_streams_come_back_as_written(pieces: list[tuple[int, bytes]], step: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        writer = write(Path(name), pieces)
        whole = read(Path(name), limit=10_000)
        assert whole.gaps == []
        assert whole.end
        assert whole.next_seq == writer.next_seq
        assert [r.seq for r in whole.records] == list(range(writer.next_seq))
        for stream in (STDOUT, STDERR):
            written = b"".join(piece for to, piece in pieces if to == stream)
            assert b"".join(r.data for r in whole.records if r.stream == stream) == written
            assert read(Path(name), stream=stream).records == [
                r for r in whole.records if r.stream == stream
            ]
        for record in whole.records:
            assert len(record.data) <= 64
            assert record.data.count(b"\n") == (0 if record.flags & PARTIAL else 1)
        paged: list[LogRecord] = []
        seq, end = 0, False
        while not end:
            page = read(Path(name), from_seq=seq, limit=step)
            paged, seq, end = paged + page.records, page.next_seq, page.end
        assert paged == whole.records


@settings(max_examples=60, deadline=None)
@given(pieces=PIECES, log_bytes=st.integers(1, 200))
def test_the_bound_holds_and_is_told(pieces: list[tuple[int, bytes]], log_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        writer = write(Path(name), pieces, log_bytes=log_bytes)
        records = read(Path(name), limit=10_000).records
        size = sum(len(piece) for _, piece in pieces)
        kept = sum(len(r.data) for r in records if r.stream != SUPERVISOR)
        assert kept == min(size, log_bytes)
        assert writer.dropped_bytes == size - kept
        assert (size > log_bytes) == any(r.stream == SUPERVISOR for r in records)


@settings(max_examples=80, deadline=None)
@given(
    pieces=PIECES.filter(bool),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    archived=st.booleans(),
)
def test_a_flipped_bit_is_a_gap_and_never_served(
    pieces: list[tuple[int, bytes]], place: float, bit: int, archived: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), pieces)
        whole = read(Path(name), limit=10_000)
        (file,) = (Path(name) / "spool" / "j.00000.0001").glob("*.chunk")
        damaged = bytearray(file.read_bytes())
        damaged[int(place * len(damaged))] ^= 1 << bit
        file.write_bytes(damaged)
        if archived:
            logs = JobLogs(Path(name))
            logs.archive(KEY)
            logs.close()
            file.unlink()
            (file.parent / "exit").unlink()
        page = read(Path(name), limit=10_000)
        missing = {seq for start, stop in page.gaps for seq in range(start, stop)}
        assert missing
        assert page.next_seq == whole.next_seq
        assert page.records == [r for r in whole.records if r.seq not in missing]


@given(
    st.builds(
        LogRecord,
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
        st.integers(0, 255),
        st.integers(0, 255),
        TEXT.filter(bool),
    )
)
def test_a_record_is_its_bytes(record: LogRecord) -> None:
    encoded = encode_record(record)
    assert decode_record(b"x" + encoded, 1) == (record, 1 + len(encoded))
    lines = list(lines_of(record._replace(seq=5)))
    assert b"".join(line.data for line in lines) == record.data
    assert [line.seq for line in lines] == list(range(5, 5 + line_count(record.data)))
