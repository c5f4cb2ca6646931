"""The bytes of each storage format: a change here is a change of format; it needs a new version."""

from __future__ import annotations

import io
from pathlib import Path

from actors.backends.event_segments import EventSegments
from actors.backends.state_copy import export_ndjson, import_ndjson
from actors.backends.state_memory import MemoryStateStore
from actors.core.image import decode_mark, encode_mark
from actors.core.log_format import (
    SegmentHeader,
    decode_header,
    encode_group,
    encode_slot,
    record_at,
)
from actors.core.ports import LogEntry, Row
from actors.model.event import Event

GOLDEN = Path(__file__).with_name("disk_formats.txt")
HEADER = SegmentHeader(first=7, salt=0x0123456789ABCDEF, size=65536, slot_bytes=8192)
ENTRIES = [LogEntry(7, 1, b"first"), LogEntry(8, 2, b"")]
EVENT = Event(9, 0, 1_700_000_000_000, "job.done", "job/a", {"code": 0})


def store() -> MemoryStateStore:
    opened = MemoryStateStore.open()
    rows = [Row("job/a", 3, b"\x01\x90"), Row("kv/x", 4, b"")]
    opened.write(rows, applied_index=2, revision=4, sessions=b"s", position=b"p")
    return opened


def formats(directory: Path) -> dict[str, bytes]:
    group = encode_group(ENTRIES, HEADER.seed)
    log = EventSegments.open(directory)
    log.append([EVENT])
    log.flush()
    log.close()
    text = io.BytesIO()
    export_ndjson(store(), text)
    return {
        "log.header": HEADER.encode()[:52],
        "log.group": group,
        "log.slot": encode_slot(7, 8, 20480, group, HEADER.seed),
        "image.mark": encode_mark(store()._mark),
        "events.segment": next(directory.iterdir()).read_bytes(),
        "export.ndjson": text.getvalue(),
    }


def golden() -> dict[str, bytes]:
    """By name; what ends in `.before` was written by earlier versions and is only read."""
    lines = (line.split(" ", 1) for line in GOLDEN.read_text().splitlines())
    return {name: bytes.fromhex(data) for name, data in lines}


def test_what_is_written_is_what_was_always_written(tmp_path: Path) -> None:
    found = golden()
    assert formats(tmp_path) == {k: v for k, v in found.items() if not k.endswith(".before")}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = golden()
    assert decode_header(found["log.header"].ljust(4096, b"\0")) == (HEADER, 1)
    record = record_at(found["log.group"], 0, len(found["log.group"]), HEADER.seed)
    assert record is not None
    assert (record.number, record.kind, record.payload) == (7, 1, b"first")
    mark = decode_mark(found["image.mark"])
    assert (mark.applied_index, mark.revision, mark.sessions, mark.keys) == (2, 4, b"s", 2)
    assert mark.position == b"p"
    assert decode_mark(found["image.mark.before"]) == mark._replace(position=b"")
    for name in ("events.segment", "events.segment.before"):
        (tmp_path / f"{1:020d}.seg").write_bytes(found[name])
        log = EventSegments.open(tmp_path)
        assert log.read((0, 0), 9) == [EVENT]
        log.close()
    for name, position in (("export.ndjson", b"p"), ("export.ndjson.before", b"")):
        again = MemoryStateStore.open()
        import_ndjson(io.BytesIO(found[name]), again)
        assert again.digest() == store().digest()
        assert again.load().position == position
