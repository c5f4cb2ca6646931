"""Whatever a replica has to say at once, a link takes each of its packets."""

from __future__ import annotations

import random

import msgspec
import pytest

from actors import limits
from actors.core.consensus.messages import Accepted, Commit, Fetched, Message, Packet, Propose
from actors.core.consensus.packing import parts
from actors.runtime.vocabulary import Vocabulary

_LARGEST = limits.BATCH_BYTES + 1_024  # of a command, with what frames its transactions


def _some(rng: random.Random) -> Message:
    id_ = (rng.randrange(7), rng.randrange(2**32), rng.randrange(2**48))
    command = bytes(rng.choice((0, 100, 60_000, 600_000, _LARGEST)))
    kind = rng.randrange(4)
    if kind == 0:
        return Propose(id_, command, (1, 2, 3), 2**48)
    if kind == 1:
        return Commit(id_, 2**48, command, (1, 2, 3))
    if kind == 2:
        return Accepted(id_, 2**32)
    many = tuple((1, 2**48, id_, bytes(50_000)) for _ in range(rng.randrange(20)))
    return Fetched(1, (*many, (1, 1, id_, command[: 1024 * 1024 - 50_000 * len(many)])), 1)


@pytest.mark.parametrize("seed", range(6))
def test_a_link_takes_every_packet(seed: int) -> None:
    rng = random.Random(seed)
    messages = [_some(rng) for _ in range(rng.randrange(2, 12))]
    messages += [Accepted((1, 1, n), 1) for n in range(rng.choice((0, 20_000)))]
    attached = tuple((2**48 + n, (1, 2**32, 2**48 + n)) for n in range(limits.PENDING_TXNS))
    words = Vocabulary([Packet])
    told: list[Message] = []
    for part in parts(messages):
        told += part
        packet = Packet("c" * 26, 2**32, 1, 2**32, 2**48, 2**48, 2**48, attached, 2**48, part)
        name, body, blobs = words.encode(packet)  # raises TooLarge
        assert (name, blobs) == ("Packet", ())
        assert msgspec.msgpack.decode(body, type=Packet).messages == part
    assert told == messages
