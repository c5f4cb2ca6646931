"""Mailbox, order between actors, de-dup and frames, against models and hostile input."""

from __future__ import annotations

from collections import deque

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import limits
from actors.errors import ActorUnavailable, JobdError
from actors.runtime import Context, Effects, Faults, LoopActor, SimHost, Tell, handles
from actors.runtime.dedup import DedupWindow
from actors.runtime.envelope import (
    BadFrame,
    Envelope,
    Kind,
    decode_error,
    decode_frame,
    encode_error,
    frame_of,
)
from actors.runtime.letter import Letter
from actors.runtime.mailbox import Mailbox
from actors.runtime.vocabulary import Vocabulary
from tests.unit.runtime.messages import Bang, Count, Urgent

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(st.sampled_from(["user", "own", "urgent", "get", "back"])), st.integers(0, 4))
def test_a_mailbox_is_two_queues_and_a_bound(steps: list[str], limit: int) -> None:
    mailbox = Mailbox(limit)
    user: deque[Letter] = deque()
    system: deque[Letter] = deque()
    for step in steps:
        letter = Letter(Urgent() if step == "urgent" else Count())
        if step == "urgent":
            assert mailbox.offer(letter)
            system.append(letter)
        elif step in ("user", "own"):
            fits = step == "own" or len(user) < limit
            assert mailbox.offer(letter, bounded=step == "user") is fits
            if fits:
                user.append(letter)
        elif system or user:
            lane = system or user
            assert mailbox.get() is lane[0]
            if step == "back":
                mailbox.put_back(lane[0])
            else:
                lane.popleft()
        assert len(mailbox) == len(user) + len(system)
        assert mailbox.empty() is (not user and not system)
    assert mailbox.drain() == [*system, *user]


class Numbered(msgspec.Struct, frozen=True):
    sender: int
    value: int


class Burst(LoopActor):
    def __init__(self, me: int, sizes: list[int]) -> None:
        self.me = me
        self.sizes = list(sizes)
        self.next = 0

    def on_start(self) -> Effects:
        return [Tell(self.address, Count()) for _ in self.sizes]

    @handles(Count)
    def send(self, message: Count, context: Context) -> Effects:
        first, self.next = self.next, self.next + self.sizes.pop()
        return [Tell("jobd://a/all", Numbered(self.me, n)) for n in range(first, self.next)]


class All(LoopActor):
    def __init__(self) -> None:
        self.seen: dict[int, list[int]] = {}

    @handles(Numbered)
    def note(self, message: Numbered, context: Context) -> None:
        self.seen.setdefault(message.sender, []).append(message.value)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**32),
    st.lists(st.lists(st.integers(1, 20), max_size=4), min_size=1, max_size=4),
    st.booleans(),
)
def test_each_pair_of_actors_keeps_its_order(
    seed: int, bursts: list[list[int]], is_wild: bool
) -> None:
    faults = Faults(drop=0.2, duplicate=0.0, max_delay_s=0.1) if is_wild else Faults()
    host = SimHost(seed, faults=faults)
    everything = All()
    host.spawn(lambda: everything, "jobd://a/all")
    for n, sizes in enumerate(bursts):
        host.spawn(lambda n=n, sizes=sizes: Burst(n, sizes), f"jobd://{'ab'[n % 2]}/{n}")  # type: ignore[misc]
    host.run_until(60.0)
    for n, sizes in enumerate(bursts):
        seen = everything.seen.get(n, [])
        assert seen == sorted(set(seen))
        if not is_wild or n % 2 == 0:
            assert seen == list(range(sum(sizes)))


@given(st.lists(st.integers(1, 30), max_size=80), st.integers(1, 8))
def test_a_question_is_new_at_most_once(numbers: list[int], size: int) -> None:
    window = DedupWindow(size)
    asked: list[int] = []
    answers: dict[int, bytes] = {}
    for number in numbers:
        verdict = window.admit(number)
        if verdict == "new":
            assert number not in asked
            asked.append(number)
            if number % 2:
                answers[number] = b"answer %d" % number
                window.answered(number, answers[number])
        elif verdict == "expired":
            assert number not in asked[-size:]
        else:
            assert verdict == answers.get(number, "under way")
            assert number in asked[-size:]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_bad_frame(junk: bytes) -> None:
    for frame in (junk, b"\x91" + junk, frame_of([junk])):
        try:
            envelopes = decode_frame(frame)
        except BadFrame:
            continue
        assert all(isinstance(each, Envelope) for each in envelopes)
        for each in envelopes:
            assert isinstance(decode_error(each.body), JobdError)


@given(st.lists(st.tuples(st.integers(0, 2**32), st.text(), PLAIN), max_size=5))
def test_what_is_sent_arrives(messages: list[tuple[int, str, object]]) -> None:
    vocabulary = Vocabulary([Bang])
    parts = []
    for corr, text, value in messages:
        for thing in (Bang(text), value):
            name, body, _blobs = vocabulary.encode(thing)
            envelope = Envelope(1, Kind.ASK, corr=corr, dst=text, type=name, body=body)
            parts.append(msgspec.msgpack.encode(envelope))
    arrived = decode_frame(frame_of(parts))
    decoded = [vocabulary.decode(each.type, each.body) for each in arrived]
    assert decoded == [thing for _, text, value in messages for thing in (Bang(text), value)]
    assert [each.corr for each in arrived] == [corr for corr, _, _ in messages for _ in "ab"]


@given(st.text(), st.booleans())
def test_an_error_arrives_as_what_it_was(text: str, maybe: bool) -> None:
    told = decode_error(encode_error(ActorUnavailable(text, maybe_executed=maybe)))
    assert isinstance(told, ActorUnavailable) and told.maybe_executed is maybe
    other = decode_error(encode_error(ValueError(text)))
    assert type(other) is JobdError and str(other) == text
    with pytest.raises(TypeError):
        Vocabulary([]).encode(Bang(text))


@given(st.integers(0, 60), st.booleans())
def test_a_plain_value_has_a_bounded_depth(depth: int, is_map: bool) -> None:
    value: object = 1
    for _ in range(depth):
        value = {"in": value} if is_map else [value]
    vocabulary = Vocabulary([])
    name, body, _blobs = vocabulary.encode(value)
    if depth < limits.ENVELOPE_DEPTH:
        assert vocabulary.decode(name, body) == value
    else:
        with pytest.raises(BadFrame, match="deeper"):
            vocabulary.decode(name, body)
