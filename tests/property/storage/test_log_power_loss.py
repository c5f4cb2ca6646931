"""A power loss during an append: any sectors of it may have reached the disk, in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.log_format import records
from actors.core.log_recovery import recover
from tests.unit.storage.test_log_recovery import Image

SECTOR = 512


@settings(max_examples=300, deadline=None)
@given(
    groups=st.lists(st.integers(1, 60), max_size=5),
    last=st.integers(1, 120),
    kept=st.sets(st.integers(0, 40)),
    cut=st.booleans(),
)
def test_acknowledged_groups_stand_and_the_last_one_is_whole_or_cut(
    groups: list[int], last: int, kept: set[int], cut: bool
) -> None:
    image = Image()
    for count in groups:
        image.append(count)
    before, acked, acked_end = bytes(image.data), image.index - 1, image.end
    image.append(last)
    after = bytes(image.data)
    disk = bytearray(before)
    changed = [
        at
        for at in range(0, len(after), SECTOR)
        if before[at : at + SECTOR] != after[at : at + SECTOR]
    ]
    for n, at in enumerate(changed):
        if n in kept or (cut and n < len(kept)):
            disk[at : at + SECTOR] = after[at : at + SECTOR]

    found = recover(bytes(disk), "test.seg", next_first=None)

    assert acked <= found.last <= image.index - 1
    assert (
        found.image[image.header.records_at : acked_end]
        == after[image.header.records_at : acked_end]
    )
    assert found.image[: found.end] != b"" and not any(found.image[found.end :])
    again = recover(found.image, "test.seg", next_first=None)
    assert (again.last, again.patches) == (found.last, [])
    read = list(records(found.image, image.header, image.header.records_at, image.header.first))
    assert [r.payload for r in read] == [b"payload %d" % r.number for r in read]


@settings(max_examples=300, deadline=None)
@given(
    groups=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    done=st.integers(0, 10),
    sealed=st.booleans(),
)
def test_a_recovery_that_is_cut_short_is_done_again_the_same(
    groups: list[int], done: int, sealed: bool
) -> None:
    image = Image()
    for count in groups:
        image.append(count)
    image.flip(image.starts[-1] + 3).flip(5)
    next_first = image.index if sealed else None
    first = recover(bytes(image.data), "test.seg", next_first=next_first)
    disk = bytearray(image.data)
    for patch in first.patches[:done]:
        disk[patch.offset : patch.offset + len(patch.data)] = patch.data
    second = recover(bytes(disk), "test.seg", next_first=next_first)
    assert (second.last, second.image) == (first.last, first.image)
