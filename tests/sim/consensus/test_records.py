"""Every field of every record and message survives its encoding, the log's own included."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.core.consensus import messages, records
from actors.core.consensus.messages import Message, Packet
from actors.core.consensus.position import Position, decode_position, encode_position
from actors.core.log_format import SegmentHeader, encode_group
from actors.core.log_format import records as decode_records
from actors.core.ports import LogEntry
from actors.core.snapshot import placed
from actors.model.epoch import Epoch, Member

numbers = st.integers(0, 2**63 - 1)
ids = st.tuples(numbers, numbers, numbers)
quorums = st.lists(st.integers(1, 9), max_size=9).map(tuple)
payloads = st.binary(max_size=60)
epochs = st.builds(
    Epoch,
    numbers,
    st.text(max_size=9),
    st.lists(st.builds(Member, st.text(), st.text(), payloads), max_size=5).map(tuple),
    numbers,
    numbers,
)
known = st.builds(
    records.Known,
    numbers, ids, payloads, quorums, numbers, st.booleans(), numbers, numbers, numbers,
    st.booleans(),
)  # fmt: skip
logged: st.SearchStrategy[tuple[int, Any]] = st.one_of(
    st.tuples(st.just(records.RESERVE), st.builds(records.Reserved, numbers, numbers)),
    st.tuples(st.just(records.EPOCH), epochs),
    st.tuples(st.sampled_from((records.PROPOSE, records.ACCEPT, records.BALLOT)), known),
    st.tuples(st.just(records.COMMIT), st.builds(records.Committed, numbers, ids, numbers)),
    st.tuples(
        st.just(records.EXECUTE),
        st.builds(records.Executed, numbers, numbers, numbers, ids, payloads),
    ),
)


@given(st.lists(logged, min_size=1, max_size=12), numbers)
def test_a_record_survives_the_log(written: list[tuple[int, Any]], salt: int) -> None:
    entries = [
        LogEntry(index, kind, records.encode_record(record))
        for index, (kind, record) in enumerate(written, 1)
    ]
    header = SegmentHeader(1, salt, 1 << 20, 4096)
    image = bytes(header.records_at) + encode_group(entries, header.seed)
    read = list(decode_records(image.ljust(header.size, b"\0"), header, header.records_at, 1))
    assert [(r.kind, records.RECORDS[r.kind].decode(r.payload)) for r in read] == written


said: st.SearchStrategy[Message] = st.one_of(
    st.builds(messages.Propose, ids, payloads, quorums, numbers),
    st.builds(messages.Payload, ids, payloads, quorums),
    st.builds(messages.ProposeAck, ids, numbers),
    st.builds(messages.Commit, ids, numbers, payloads, quorums),
    st.builds(messages.Accept, ids, payloads, quorums, numbers, numbers),
    st.builds(messages.Accepted, ids, numbers),
    st.builds(messages.Recover, ids, payloads, quorums, numbers),
    st.builds(messages.RecoverAck, ids, numbers, st.booleans(), numbers, numbers, numbers),
    st.builds(messages.RecoverNack, ids, numbers),
    st.builds(messages.CommitRequest, st.lists(ids, max_size=3).map(tuple)),
    st.builds(messages.ReadClock, numbers),
    st.builds(messages.ClockOf, numbers, numbers),
    st.builds(messages.BumpTo, numbers),
    st.builds(messages.Fetch, numbers),
    st.builds(
        messages.Fetched,
        numbers,
        st.lists(st.tuples(numbers, numbers, ids, payloads), max_size=3).map(tuple),
        numbers,
    ),
)
packets = st.builds(
    Packet, st.text(max_size=9), numbers, numbers, numbers, numbers, numbers, numbers,
    st.lists(st.tuples(numbers, ids), max_size=3).map(tuple), numbers,
    st.lists(said, max_size=4).map(tuple),
)  # fmt: skip


@given(packets)
def test_a_packet_survives_the_wire(packet: Packet) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(packet), type=Packet) == packet


positions = st.builds(
    Position,
    epochs,
    numbers,
    st.tuples(numbers, ids),
    st.lists(
        st.tuples(numbers, numbers, st.lists(st.tuples(numbers, numbers), max_size=3).map(tuple)),
        max_size=3,
    ).map(tuple),
    numbers,
)


@given(positions)
def test_a_position_survives_the_image(position: Position) -> None:
    assert decode_position(encode_position(position)) == position


@given(positions, positions, st.booleans())
def test_an_adopted_position_keeps_ones_own_promises(
    theirs: Position, mine: Position, same: bool
) -> None:
    if same:
        mine = msgspec.structs.replace(mine, epoch=theirs.epoch)
    found = decode_position(placed(encode_position(mine), encode_position(theirs)))
    kept = mine.reserved if mine.epoch.number == theirs.epoch.number else 0
    assert found == msgspec.structs.replace(theirs, reserved=kept)
