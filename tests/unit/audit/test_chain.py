"""The audit trail on disk: what is written is found, and nobody changes it unnoticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import limits
from actors.backends import audit_log
from actors.backends.audit_log import AuditSegments
from actors.core.audit import PRUNED, AuditDraft, AuditRecord, Head
from actors.errors import ReadOnly

DAY_MS = 24 * 3600 * 1000


def draft(operation: str = "put_value", **fields: object) -> AuditDraft:
    return AuditDraft(time_ms=7, operation=operation, decision="allowed", **fields)  # type: ignore[arg-type]


def everything(_: AuditRecord) -> bool:
    return True


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[AuditSegments]:
    trail = AuditSegments.open(tmp_path / "audit")
    yield trail
    trail.close()


def reopen(trail: AuditSegments) -> AuditSegments:
    return AuditSegments.open(trail._directory)


def files(trail: AuditSegments) -> list[Path]:
    return sorted(trail._directory.iterdir())


def problem(trail: AuditSegments, kept: Head | None = None) -> str:
    return trail.verify(kept).problem


@pytest.fixture
def many_segments(trail: AuditSegments, monkeypatch: pytest.MonkeyPatch) -> AuditSegments:
    """Thirty records, three to a segment."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT_BYTES", 400)
    for i in range(30):
        trail.append([draft(subject=str(i))])
    assert len(files(trail)) > 8
    return trail


def test_records_come_back_newest_first(trail: AuditSegments) -> None:
    trail.append([draft("a"), draft("b")])
    trail.append([draft("c")])
    page = trail.read(0, 2, everything)
    assert [(r.n, r.operation) for r in page.records] == [(3, "c"), (2, "b")]
    rest = trail.read(page.before, 2, everything)
    assert [(r.n, r.operation) for r in rest.records] == [(1, "a")]
    assert rest.before == 0


def test_pages_over_many_segments_lose_nothing(many_segments: AuditSegments) -> None:
    for limit in (1, 2, 7, 100):
        found: list[int] = []
        before = 0
        while True:
            page = many_segments.read(before, limit, lambda r: r.n % 2 == 0)
            found += [record.n for record in page.records]
            before = page.before
            if not before:
                break
        assert found == list(range(30, 0, -2))


def test_the_chain_goes_on_after_a_restart(trail: AuditSegments) -> None:
    trail.append([draft("a")])
    again = reopen(trail)
    again.append([draft("b")])
    assert again.head.n == 2
    assert problem(again) == ""
    assert len(files(trail)) == 1
    again.close()


def test_a_torn_last_line_is_cut_off(trail: AuditSegments) -> None:
    trail.append([draft("a"), draft("b")])
    (file,) = files(trail)
    os.truncate(file, file.stat().st_size - 5)
    again = reopen(trail)
    assert again.head.n == 1
    again.append([draft("c")])
    assert problem(again) == ""
    assert [r.operation for r in again.read(0, 9, everything).records] == ["c", "a"]
    again.close()


def test_a_torn_first_line_leaves_no_segment(many_segments: AuditSegments) -> None:
    last = files(many_segments)[-1]
    os.truncate(last, 3)
    again = reopen(many_segments)
    again.append([draft("next")])
    assert problem(again) == ""
    again.close()


@pytest.mark.parametrize("position", [0, 5, 12])
def test_a_changed_record_is_found(many_segments: AuditSegments, position: int) -> None:
    for file in files(many_segments):
        text = file.read_text()
        file.write_text(text.replace(f'"subject":"{position}"', '"subject":"x"'))
    assert "does not follow" in problem(many_segments)


def test_a_removed_record_is_found(many_segments: AuditSegments) -> None:
    file = files(many_segments)[2]
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:1] + lines[2:]))
    assert "does not follow" in problem(many_segments)


def test_a_removed_segment_is_found(many_segments: AuditSegments) -> None:
    files(many_segments)[0].unlink()
    assert "missing" in problem(many_segments)


def test_a_line_that_is_no_record_is_found_and_named(many_segments: AuditSegments) -> None:
    file = files(many_segments)[3]
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("rubbish\n" + "".join(lines[1:]))
    assert f"{file.name}, line 1" in problem(many_segments)


def test_a_chain_forged_from_its_middle_on_needs_a_head_that_was_kept(
    trail: AuditSegments, tmp_path: Path
) -> None:
    trail.append([draft("a"), draft("b"), draft("c")])
    kept = trail.head
    assert problem(trail, kept) == ""
    (file,) = files(trail)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:1]))
    forged = reopen(trail)
    forged.append([draft("b"), draft("x")])
    assert problem(forged) == ""
    assert f"no record {kept.n}" in problem(forged, kept)
    forged.close()


def test_retention_drops_the_oldest_and_says_so(
    many_segments: AuditSegments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_KEEP_BYTES", 1500)
    assert many_segments.prune(8) > 0
    assert sum(file.stat().st_size for file in files(many_segments)) < 2500
    newest = many_segments.read(0, 1, everything).records[0]
    assert newest.operation == PRUNED
    oldest = many_segments.verify(None)
    assert (oldest.problem, oldest.first) == ("", int(newest.subject) + 1)
    files(many_segments)[0].unlink()
    assert "retention did not drop them" in problem(many_segments)


def test_retention_by_age(many_segments: AuditSegments) -> None:
    for file in files(many_segments)[:4]:
        os.utime(file, (1, 1))
    assert many_segments.prune(limits.AUDIT_KEEP_S * 1000 + DAY_MS) == 4
    assert problem(many_segments) == ""
    assert problem(reopen(many_segments)) == ""


def test_retention_during_a_check_is_no_tampering(
    many_segments: AuditSegments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_KEEP_BYTES", 1500)
    read = audit_log._lines
    looks: list[Path] = []

    def look(path: Path) -> list[bytes]:
        looks.append(path)
        if len(looks) == 2:
            many_segments.prune(8)
        return read(path)

    monkeypatch.setattr(audit_log, "_lines", look)
    assert problem(many_segments) == ""
    assert len(looks) > len(files(many_segments))


@pytest.mark.parametrize("harm", [b"", b"no record\n"])
def test_retention_goes_on_over_what_is_no_record(
    many_segments: AuditSegments, monkeypatch: pytest.MonkeyPatch, harm: bytes
) -> None:
    monkeypatch.setattr(limits, "AUDIT_KEEP_BYTES", 1500)
    for file in files(many_segments)[:-1]:
        file.write_bytes(harm)
    os.truncate(files(many_segments)[0], 5000)
    assert many_segments.prune(8) > 0
    assert problem(many_segments)


def test_a_forged_record_of_retention_stops_no_check(trail: AuditSegments) -> None:
    trail.append([draft("a"), draft(PRUNED, subject="²")])
    trail.append([draft("b")])
    assert problem(trail) == ""


def test_a_refused_write_leaves_the_chain_whole(
    trail: AuditSegments, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail.append([draft("a")])
    (file,) = files(trail)
    real = os.pwrite

    def half(fd: int, data: bytes, offset: int) -> int:
        real(fd, bytes(data)[:10], offset)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", half)
        with pytest.raises(ReadOnly):
            trail.append([draft("b")])
    assert file.read_text().count("\n") == 1
    trail.append([draft("b")])
    assert (problem(trail), trail.head.n) == ("", 2)


def test_an_empty_trail_is_whole(trail: AuditSegments) -> None:
    verdict = trail.verify(None)
    assert (verdict.problem, verdict.records, verdict.head_n) == ("", 0, 0)
    assert trail.read(0, 9, everything).records == []
