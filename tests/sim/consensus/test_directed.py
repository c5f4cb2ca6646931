"""Scenarios by hand: each ends well with the product as it is."""

from __future__ import annotations

import msgspec
import pytest

from actors.core.consensus.chain import Chain
from actors.core.consensus.command import encode_batch, encode_reconfiguration
from actors.core.consensus.group import NotSynced, Read, Receive, Reconfigure, Submit, Synced, Tick
from actors.core.consensus.messages import Fetched, Packet
from actors.core.consensus.position import Position, encode_position
from actors.core.consensus.quorums import Quorums
from actors.core.consensus.records import BATCH, EPOCH
from actors.core.consensus.recovery_of_log import Recovery, found
from actors.core.ports import LogEntry
from actors.core.store.txn import Txn
from actors.errors import ConfigError, Conflict, InvalidInput, ReadOnly
from actors.model.epoch import Epoch, Member
from tests.sim.consensus.scenarios import SCENARIOS

THREE = (Member("n1"), Member("n2"), Member("n3"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_ends_well(name: str) -> None:
    SCENARIOS[name]()


@pytest.mark.parametrize(("n", "quorum_size"), [(3, 1), (3, 3), (4, 1), (5, 1), (5, 4), (2, 2)])
def test_sizes_that_are_not_safe_are_refused(n: int, quorum_size: int) -> None:
    with pytest.raises(ConfigError):
        Quorums.of(n, quorum_size)


def chain_of(members: tuple[Member, ...], quorum_size: int) -> Chain:
    recovery = Recovery("n1", "sim", b"", 0)
    recovery.replay(found(Epoch(1, "sim", members, quorum_size)))
    return recovery.finish(1, 1)


@pytest.mark.parametrize("members", [THREE[:1], THREE])
def test_an_epoch_that_is_not_safe_is_refused_before_it_is_ordered(
    members: tuple[Member, ...],
) -> None:
    chain = chain_of(members, 1 if len(members) == 1 else 2)
    unsafe = Epoch(2, "sim", THREE, 1)
    effects = chain.step(Reconfigure(7, Txn((), ()), unsafe), 0)
    assert [(ticket, type(error)) for ticket, error in effects.refuse] == [(7, ConfigError)]


@pytest.mark.parametrize("number", [1, 3])
def test_a_change_of_an_epoch_that_is_not_the_present_one_is_refused(number: int) -> None:
    chain = chain_of(THREE, 2)
    effects = chain.step(Reconfigure(7, Txn((), ()), Epoch(number, "sim", THREE, 2)), 0)
    assert [(ticket, type(error)) for ticket, error in effects.refuse] == [(7, Conflict)]


def test_batches_of_a_node_alone_are_not_applied_to_a_snapshot_of_later() -> None:
    batch = LogEntry(1, BATCH, encode_batch([msgspec.msgpack.encode(Txn((), ()))]))
    assert len(Recovery("n1", "sim", b"", 0).replay(batch)) == 1
    taken = Position(Epoch(2, "sim", THREE, 2, 3), 5, (4, (2, 1, 2)), ((2, 1, ((1, 2),)),), 0)
    recovery = Recovery("n1", "sim", encode_position(taken), 0)
    assert recovery.replay(batch) == ()
    assert recovery.index == 5


def test_a_transaction_over_a_bound_is_refused_alone() -> None:
    chain = chain_of(THREE, 2)
    long = Txn((), (("k" * 10_000, b""),))
    effects = chain.step(Submit(7, long), 0)
    assert [(ticket, type(error)) for ticket, error in effects.refuse] == [(7, InvalidInput)]
    assert chain.step(Submit(8, Txn((), ())), 0).append


def test_what_a_voter_has_not_answered_is_forwarded_when_two_epochs_end_its_vote() -> None:
    chain = chain_of(THREE, 2)
    chain.step(Submit(7, Txn((), ())), 0)
    chain.step(Read(8), 0)
    two = Epoch(2, "sim", THREE[1:], 1)
    three = Epoch(3, "sim", THREE[2:], 1)
    seals = [
        (1, 5, (2, 1, 1), encode_reconfiguration(two, Txn((), ()))),
        (2, 5, (1, 1, 1), encode_reconfiguration(three, Txn((), ()))),
    ]
    packet = Packet("sim", 3, 0, 1, 2, 0, 0, (), 0, (Fetched(1, tuple(seals), 1),))
    effects = chain.step(Receive("n3", packet), 0)
    assert [batch.index for batch in effects.apply] == [1, 2]
    assert sorted(event.ticket for event in effects.forward) == [7, 8]


def test_the_record_of_an_epoch_is_tried_again_by_a_node_that_is_alone_in_it() -> None:
    chain = chain_of(THREE, 2)
    alone = Epoch(2, "sim", THREE[:1], 1)
    seal = (1, 5, (2, 1, 1), encode_reconfiguration(alone, Txn((), ())))
    packet = Packet("sim", 2, 0, 1, 1, 0, 0, (), 0, (Fetched(1, (seal,), 1),))
    (refused, *_) = chain.step(Receive("n2", packet), 0)
    assert refused[-1].kind == EPOCH
    chain.step(NotSynced(refused[0].index - 1, ReadOnly("the disk is full")), 0)
    assert chain.tick_ms
    assert chain.step(Tick(), 2_000).append == refused
    chain.step(Synced(refused[-1].index), 2_000)
    assert not chain.tick_ms
    assert chain.step(Submit(7, Txn((), ())), 2_000).append
