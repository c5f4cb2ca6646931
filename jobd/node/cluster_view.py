"""The cluster as one node sees it: the epoch of its group, and what it hears of the members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.core.consensus.group import GroupStatus
from actors.core.consensus.quorums import Quorums
from jobd.api.cluster_views import ClusterView, ConsensusView, Member, QuorumView
from jobd.api.node_views import NodeView

__all__ = ["cluster_view", "executed_by"]

_TWO: Final = "of two voters none may fail: add a third"


def executed_by(status: GroupStatus, nodes: Sequence[NodeView], node: str) -> dict[str, int]:
    """Return how many commands each node has executed, as far as `node` knows."""
    executed = {each.id: status.peers.get(each.id, each.executed) for each in nodes}
    executed[node] = status.index
    return executed


def cluster_view(
    status: GroupStatus,
    nodes: Sequence[NodeView],
    *,
    node: str,
    alive: frozenset[str],
    leader: str,
    isolated_ms: int,
    revision: int,
) -> ClusterView:
    """Return the cluster as this node sees it now."""
    epoch = status.epoch
    quorums = Quorums.of(len(epoch.members), epoch.quorum_size)
    executed = executed_by(status, nodes, node)
    furthest = max(executed.values())
    addresses = {member.node: member.address for member in epoch.members}
    members = [
        Member(
            id=each.id,
            name=each.name,
            role=each.role,
            state=each.state,
            alive=each.id in alive,
            address=addresses.get(each.id) or each.addresses.get("cluster", ""),
            heard_ms=each.heard_ms,
            executed=executed[each.id],
            lag=furthest - executed[each.id],
        )
        for each in nodes
        if each.role == "voter" or each.state == "up"
    ]
    return ClusterView(
        mode="solo" if status.role == "solo" else "cluster",
        cluster=epoch.cluster,
        epoch=epoch.number,
        node=node,
        leader=leader,
        quorum=epoch.quorum_size,
        quorums=_quorums(quorums),
        reachable=isolated_ms == 0,
        isolated_ms=isolated_ms,
        consensus=_consensus(status),
        members=members,
        warning=_TWO if quorums.n == 2 else "",
        revision=revision,
    )


def _quorums(quorums: Quorums) -> QuorumView:
    return QuorumView(
        voters=quorums.n,
        tolerates=quorums.f,
        fast=quorums.fast,
        slow=quorums.slow,
        recovery=quorums.recovery,
        stability=quorums.stability,
    )


def _consensus(status: GroupStatus) -> ConsensusView:
    return ConsensusView(
        role=status.role,
        executed=status.index,
        fast=status.fast,
        slow=status.slow,
        recovered=status.recovered,
        stable_lag=status.lag,
        unstable_ms=status.unstable_ms,
    )
