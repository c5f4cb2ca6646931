"""Who votes next: the decisions of a change of membership. The group orders them, one at a time.

Rules:
V1  Members change only from one epoch to the next, one node at a time, so that any majority of the
    one meets any majority of the other, and a mistake is one node large.
V2  Who gets a vote follows already and has nearly caught up: else the others would wait for it.
V3  The next epoch can make progress with the nodes that are alive now.
V4  Of two members neither may fail: that is allowed, as a step to three, and said.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final, NamedTuple

from actors.core.consensus.quorums import Quorums, default_quorum_size
from actors.core.store.txn import Txn, exists
from actors.errors import Conflict, NotFound
from actors.model import keys
from actors.model.epoch import Epoch, Member
from actors.model.event import EventDraft

__all__ = ["CAUGHT_UP", "EpochChange", "add", "remove", "with_quorum"]

CAUGHT_UP: Final = 2_000  # commands behind, at most, to get a vote
_TWO: Final = "two members: each write needs both, none of them may fail; add a third"


class EpochChange(NamedTuple):
    """What is asked of the replica (`ChangeEpoch`), and what the operator is to know."""

    epoch: Epoch
    txn: Txn
    warning: str = ""


def add(
    epoch: Epoch,
    member: Member,
    *,
    lag: int | None,
    alive: Set[str],
    now_ms: int,
    quorum_size: int | None = None,
) -> EpochChange:
    """Give a node a vote. `lag`: commands that it is behind, None when it is not heard.

    Raises Conflict, ConfigError (an impossible quorum).
    """
    if epoch.replica_of(member.node) is not None:
        raise Conflict(f"node {member.node} votes already")
    if lag is None or member.node not in alive:
        raise Conflict(
            f"node {member.node} is not heard", remedy="start it with --join, then try again"
        )
    if lag > CAUGHT_UP:
        raise Conflict(
            f"node {member.node} is {lag} commands behind", remedy="wait until it has caught up"
        )
    members = (*epoch.members, member)
    return _change(epoch, members, quorum_size, alive, now_ms, (exists(keys.node(member.node)),))


def remove(
    epoch: Epoch, node: str, *, alive: Set[str], now_ms: int, quorum_size: int | None = None
) -> EpochChange:
    """Take a node's vote. Raises NotFound, Conflict, ConfigError (an impossible quorum)."""
    if epoch.replica_of(node) is None:
        raise NotFound(f"node {node} has no vote", remedy="`jobctl cluster members` lists them")
    members = tuple(member for member in epoch.members if member.node != node)
    if not members:
        raise Conflict(f"node {node} is the only member", remedy="add another one first")
    return _change(epoch, members, quorum_size, alive, now_ms, ())


def with_quorum(epoch: Epoch, quorum_size: int, *, alive: Set[str], now_ms: int) -> EpochChange:
    """Have the same members with another quorum size. Raises ConfigError, Conflict."""
    if quorum_size == epoch.quorum_size:
        raise Conflict(f"the quorum size is {quorum_size} already")
    return _change(epoch, epoch.members, quorum_size, alive, now_ms, ())


def _change(
    epoch: Epoch,
    members: tuple[Member, ...],
    quorum_size: int | None,
    alive: Set[str],
    now_ms: int,
    checks: tuple[tuple[str, int], ...],
) -> EpochChange:
    size = default_quorum_size(len(members)) if quorum_size is None else quorum_size
    quorums = Quorums.of(len(members), size)
    up = sum(member.node in alive for member in members)
    needed = max(quorums.recovery, quorums.stability)
    if up < needed:
        raise Conflict(
            f"{up} of the {len(members)} members would be alive, {needed} are needed",
            remedy="start what is down first, or remove another node",
        )
    # `start` is known when it is executed; the group fills it in.
    next_ = Epoch(epoch.number + 1, epoch.cluster, members, size)
    data = {
        "epoch": next_.number,
        "members": list(next_.nodes),
        "quorum_size": size,
        "before": list(epoch.nodes),
    }
    told = EventDraft("jobd:epoch:changed", "cluster", data)
    txn = Txn(checks, (), (told,), now_ms=now_ms)
    return EpochChange(next_, txn, _TWO if len(members) == 2 else "")
