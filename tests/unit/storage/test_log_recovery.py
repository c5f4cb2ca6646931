"""The recovery decision table: each row met by bytes that mean it, and the page says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.core.log_format import (
    PAGE,
    SegmentHeader,
    decode_header,
    decode_slot,
    encode_group,
    encode_slot,
    group_bytes,
    records,
)
from actors.core.log_recovery import DECISIONS, Action, check_name, recover
from actors.core.ports import LogEntry
from actors.errors import Corrupt, DataDirectory

HEADER = SegmentHeader(first=11, salt=99, size=64 * 1024, slot_bytes=8 * 1024)
DOCS = Path(__file__).parents[3] / "docs" / "internals" / "log.md"


def entry(index: int) -> LogEntry:
    return LogEntry(index, 1, b"payload %d" % index)


class Image:
    """A segment being written as the log writes it."""

    def __init__(self, header: SegmentHeader = HEADER) -> None:
        self.header = header
        self.data = bytearray(header.encode().ljust(header.size, b"\0"))
        self.end = header.records_at
        self.index = header.first
        self.slot = 0
        self.starts: list[int] = []

    def append(self, count: int, *, mirror: bool = True) -> Image:
        group = [entry(i) for i in range(self.index, self.index + count)]
        data = encode_group(group, self.header.seed)
        if mirror:
            at = self.header.slot_at(self.slot)
            slot = encode_slot(self.index, self.index + count - 1, self.end, data, self.header.seed)
            self.data[at : at + len(slot)] = slot
        self.data[self.end : self.end + len(data)] = data
        self.starts.append(self.end)
        self.end += len(data)
        self.index += count
        self.slot ^= 1
        return self

    def wipe(self, group: int) -> Image:
        """Zero a group's records: a write that never reached the disk."""
        end = [*self.starts, self.end][group + 1]
        self.data[self.starts[group] : end] = bytes(end - self.starts[group])
        return self

    def flip(self, at: int) -> Image:
        self.data[at] ^= 4
        return self

    def recover(self, next_first: int | None = None):  # type: ignore[no-untyped-def]
        return recover(bytes(self.data), "test.seg", next_first=next_first)


def indexes(image: bytes) -> list[int]:
    return [r.number for r in records(image, HEADER, HEADER.records_at, HEADER.first)]


def test_a_clean_segment_is_accepted_as_it_is() -> None:
    image = Image().append(2).append(3)
    found = image.recover()
    assert (found.cases, found.patches) == (["H1", "T2"], [])
    assert (found.last, found.end, found.slot) == (15, image.end, 0)


def test_an_empty_segment_is_accepted() -> None:
    found = Image().recover()
    assert (found.cases, found.last, found.end) == (["H1", "T2"], 10, HEADER.records_at)


@pytest.mark.parametrize("copy", [0, PAGE // 2])
def test_a_damaged_header_copy_is_mended_from_the_other(copy: int) -> None:
    found = Image().append(1).flip(copy + 20).recover()
    assert found.cases == ["H2", "T2"]
    assert found.patches == [(0, HEADER.encode())]


def test_a_segment_without_header_is_refused() -> None:
    with pytest.raises(Corrupt, match="H3"):
        Image().flip(20).flip(PAGE // 2 + 20).recover()


def test_a_segment_of_a_newer_version_is_refused_by_its_version() -> None:
    with pytest.raises(DataDirectory, match="version 7"):
        Image(HEADER._replace(version=7)).recover()


def test_a_segment_under_anothers_name_is_refused() -> None:
    check_name("test.seg", 11, HEADER)
    with pytest.raises(Corrupt, match="S2"):
        check_name("test.seg", 12, HEADER)


def test_what_follows_the_last_record_of_a_sealed_segment_is_padding() -> None:
    image = Image().append(2)
    found = image.flip(image.end + 9).recover(next_first=13)
    assert (found.cases, found.last, found.patches) == (["H1", "T1"], 12, [])


def test_a_torn_tail_is_cut_off() -> None:
    image = Image().append(2).append(2).append(3, mirror=False)
    image.data[image.end - 5 :] = bytes(len(image.data) - image.end + 5)
    found = image.recover()
    assert found.cases == ["H1", "T3"]
    assert found.last == 17 - 1
    torn = Image().append(2).append(2).append(3, mirror=False).flip(image.starts[2] + 1).recover()
    assert (torn.cases, torn.last) == (["H1", "T3"], 14)
    assert not any(torn.image[torn.end :])


def test_a_lost_write_is_repaired_from_the_mirror() -> None:
    image = Image().append(2).append(3)
    whole = bytes(image.data)
    found = image.wipe(1).recover()
    assert found.cases == ["H1", "T4", "T2"]
    assert (found.last, found.image) == (15, whole)


@pytest.mark.parametrize("group", [1, 2])
def test_a_damaged_group_is_repaired_while_a_mirror_has_it(group: int) -> None:
    image = Image().append(2).append(3).append(4)
    whole = bytes(image.data)
    found = image.flip(image.starts[group] + 30).recover()
    assert found.cases == ["H1", "T5", "T2"]
    assert (found.last, found.image) == (19, whole)


def test_both_last_groups_may_be_damaged() -> None:
    image = Image().append(2).append(3).append(4)
    found = image.flip(image.starts[1]).flip(image.end - 1).recover()
    assert found.cases == ["H1", "T5", "T5", "T2"]
    assert found.last == 19


@pytest.mark.parametrize("next_first", [None, 18])
def test_a_group_that_only_was_acknowledged_is_refused(next_first: int | None) -> None:
    image = Image().append(2).append(2).append(2).append(1)
    with pytest.raises(Corrupt, match=r"index 13.*T7"):
        Image.flip(image, image.starts[1] + 4).recover(next_first)


def test_zeroed_groups_that_were_acknowledged_are_refused() -> None:
    with pytest.raises(Corrupt, match=r"index 11.*T6"):
        Image().append(2).append(2).append(2).wipe(0).wipe(1).wipe(2).recover()
    with pytest.raises(Corrupt, match=r"index 11.*T7"):
        Image().append(2).append(2).append(2).wipe(0).recover()


def test_a_later_group_is_found_even_without_mirrors() -> None:
    image = Image()
    for _ in range(4):
        image.append(2, mirror=False)
    image.flip(image.starts[1] + 20)
    with pytest.raises(Corrupt, match=r"index 13.*T7"):
        image.recover()


def test_a_sealed_segment_that_ends_early_is_refused() -> None:
    with pytest.raises(Corrupt, match=r"index 13.*T6"):
        Image().append(2).recover(next_first=20)


def test_a_record_in_anothers_place_is_not_served() -> None:
    image = Image().append(1).append(1).append(1).append(1)
    size = group_bytes([entry(11)])
    first, second = image.starts[0], image.starts[1]
    image.data[first : first + size] = image.data[second : second + size]
    with pytest.raises(Corrupt):
        image.recover()


def test_records_and_mirrors_of_another_segment_are_not_valid_here() -> None:
    other = Image(HEADER._replace(salt=98)).append(3)
    other.data[:PAGE] = HEADER.encode()
    assert decode_slot(bytes(other.data), HEADER, 0) is None
    found = other.recover()
    assert (found.cases, found.last) == (["H1", "T3"], 10)


def test_the_header_says_what_it_was_given() -> None:
    assert decode_header(HEADER.encode()) == (HEADER, 2)


def test_every_row_of_the_table_stands_in_the_page() -> None:
    rows = re.findall(r"^\| ([HST]\d) \| (.*?) \|$", DOCS.read_text(), re.MULTILINE)
    word = {None: "either", True: "yes", False: "no"}
    assert rows == [
        (c.name, " | ".join([c.found, word[c.mirrored], word[c.later], c.action, c.why]))
        for c in DECISIONS
    ]
    assert {case.action for case in DECISIONS} == set(Action)
