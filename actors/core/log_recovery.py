"""What a segment's bytes mean after a crash or a fault: the recovery decision table.

Rules:

R1. An acknowledged record is served with its own bytes or the log refuses; it is never skipped.
R2. A record that was not acknowledged may be kept (whole) or dropped, with all that follow it.
R3. Recovery only decides from bytes; whoever holds the file applies its patches and makes them
    durable before anything is appended.

Why the table is right: groups are made durable one after the other, and each is in a mirror slot
when it is acknowledged (F4). So at most one group, the last, is unacknowledged. Where the valid
records of a segment stop, the next index either stands in a slot (its bytes are known, whether or
not it was acknowledged), or a later group is known (then it was acknowledged and is lost), or
neither (then it was never acknowledged). Two faults that together hide an acknowledged group, its
record and both proofs, are beyond this table; backups and, in a cluster, peers are for that.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

from actors.core.log_format import (
    PAGE,
    SegmentHeader,
    Slot,
    decode_header,
    decode_slot,
    record_at,
    records,
)
from actors.errors import Corrupt, DataDirectory

__all__ = [
    "DECISIONS",
    "Action",
    "Case",
    "Patch",
    "Recovered",
    "check_name",
    "read_header",
    "recover",
]


class Action(StrEnum):
    """What is done about a case."""

    ACCEPT = "accept"
    REPAIR = "repair"
    TRUNCATE = "truncate tail"
    REFUSE = "refuse"


class Case(NamedTuple):
    """A row: what was found (None: either way), and what is done.

    H rows look at a header (`found`: whole copies), S rows at its file's name, T rows
    at the bytes where the valid records of a segment stop.
    """

    name: str
    found: str
    mirrored: bool | None
    later: bool | None
    action: Action
    why: str


_C: Final = Case
DECISIONS: Final[tuple[Case, ...]] = (
    _C("H1", "two header copies", None, None, Action.ACCEPT, "as written"),
    _C("H2", "one header copy", None, None, Action.REPAIR, "the other copy says the same"),
    _C("H3", "no header copy", None, None, Action.REFUSE, "a segment is named after its header"),
    _C(
        "S1",
        "name agrees",
        None,
        None,
        Action.ACCEPT,
        "a gap before it shows in the one before: T6",
    ),
    _C("S2", "name disagrees", None, None, Action.REFUSE, "moved or renamed"),
    _C("T1", "next segment", None, None, Action.ACCEPT, "complete; what follows is padding"),
    _C("T2", "zeros", False, False, Action.ACCEPT, "the end of the log"),
    _C("T3", "other bytes", False, False, Action.TRUNCATE, "torn, never acknowledged"),
    _C("T4", "zeros", True, None, Action.REPAIR, "lost write; the mirror has the group"),
    _C("T5", "other bytes", True, None, Action.REPAIR, "damaged or torn; the mirror has the group"),
    _C("T6", "zeros", False, True, Action.REFUSE, "lost, and a later group was acknowledged"),
    _C(
        "T7",
        "other bytes",
        False,
        True,
        Action.REFUSE,
        "damaged, and a later group was acknowledged",
    ),
)


class Patch(NamedTuple):
    """Bytes that must be written at an offset of the segment."""

    offset: int
    data: bytes


class Recovered(NamedTuple):
    """A segment that may be used once its patches are durable.

    `last` is its last index (`first - 1` when empty), `end` the offset behind it, `slot` the
    mirror slot for the next group, `image` its bytes with the patches in place, `cases` the rows
    of the table that were met.
    """

    header: SegmentHeader
    last: int
    end: int
    slot: int
    image: bytes
    patches: list[Patch]
    cases: list[str]


def _decide(found: str, *, mirrored: bool = False, later: bool = False) -> Case:
    for case in DECISIONS:
        if (
            case.found == found
            and case.mirrored in (None, mirrored)
            and case.later in (None, later)
        ):
            return case
    raise AssertionError(f"no row for {found}, mirrored={mirrored}, later={later}")


def _refuse(case: Case, what: str) -> Corrupt:
    return Corrupt(
        f"{what}: {case.why} (case {case.name})",
        remedy="Restore this node's data from a backup; docs/internals/log.md tells what is known.",
    )


def read_header(page: bytes, name: str) -> tuple[SegmentHeader, Case]:
    """Return a segment's header and its case. Raises Corrupt, DataDirectory (newer version)."""
    header, whole = decode_header(page)
    case = _decide(("no header copy", "one header copy", "two header copies")[whole])
    if header is None:
        raise _refuse(case, f"log segment {name}")
    if header.version != SegmentHeader._field_defaults["version"]:
        raise DataDirectory(f"log segment {name} has version {header.version}; this node reads 1")
    return header, case


def check_name(name: str, named: int, header: SegmentHeader) -> None:
    """Check that a segment is the one its name says. Raises Corrupt."""
    case = _decide("name agrees" if header.first == named else "name disagrees")
    if case.action is Action.REFUSE:
        raise _refuse(case, f"log segment {name} begins at {header.first}")


def recover(image: bytes, name: str, *, next_first: int | None) -> Recovered:
    """Decide about one segment's bytes.

    `next_first` is the first index of the segment after it, None for the last one. Raises Corrupt.
    """
    header, case = read_header(image[:PAGE], name)
    cases, patches = [case.name], []
    image = image[: header.size].ljust(header.size, b"\0")
    if case.action is Action.REPAIR:
        patches.append(Patch(0, header.encode()))
        image = _patched(image, patches[-1])
    slots = [decode_slot(image, header, 0), decode_slot(image, header, 1)]
    at, index = header.records_at, header.first
    mended: set[int] = set()
    while True:
        for record in records(image, header, at, index):
            at, index = record.end, record.number + 1
            if index == next_first:
                break
        case, slot, tail = _judge(image, header, slots, at, index, next_first)
        cases.append(case.name)
        if case.action is Action.REFUSE or (slot and slot.first in mended):
            raise _refuse(case, f"log segment {name}, index {index}, offset {at}")
        if slot is None:
            break
        mended.add(slot.first)
        patches.append(Patch(slot.offset, slot.group))
        image = _patched(image, patches[-1])
        at, index = slot.offset, slot.first
    if case.action is Action.TRUNCATE:
        patches.append(Patch(at, bytes(tail)))
        image = _patched(image, patches[-1])
    return Recovered(header, index - 1, at, _next_slot(slots), image, patches, cases)


def _patched(image: bytes, patch: Patch) -> bytes:
    return image[: patch.offset] + patch.data + image[patch.offset + len(patch.data) :]


def _judge(
    image: bytes,
    header: SegmentHeader,
    slots: list[Slot | None],
    at: int,
    index: int,
    next_first: int | None,
) -> tuple[Case, Slot | None, int]:
    """Return the case where valid records stop, the slot to repair from, the tail's bytes."""
    if index == next_first:
        return _decide("next segment"), None, 0
    tail = len(image[at:].rstrip(b"\0"))
    holding = next((s for s in slots if s and s.first <= index <= s.last), None)
    later = holding is None and (
        next_first is not None
        or any(s.first > index for s in slots if s)
        or _group_after(image, header, at, at + tail, index)
    )
    found = "other bytes" if tail else "zeros"
    return _decide(found, mirrored=holding is not None, later=later), holding, tail


def _group_after(image: bytes, header: SegmentHeader, at: int, end: int, index: int) -> bool:
    """Whether a valid record that begins a later group stands anywhere behind a bad one (F3)."""
    high = index >> 32
    prefix = b"|".join(re.escape(h.to_bytes(4, "big")) for h in (high, high + 1))
    start = re.compile(rb"(?=(?:" + prefix + rb").{4}[\x80-\xff])", re.DOTALL)
    for match in start.finditer(image, at + 9, end):
        record = record_at(image, match.start() - 8, header.size, header.seed)
        if record is not None and record.group_start and record.number > index:
            return True
    return False


def _next_slot(slots: list[Slot | None]) -> int:
    """The slot that does not hold the newest group."""
    first, second = (slot.first if slot else 0 for slot in slots)
    return 0 if second >= first else 1
