"""How the cluster looks on the wire: its epoch, its members, and how its consensus does."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ClusterView", "ConsensusView", "Member", "QuorumView"]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A node that takes part: a voter, or a worker that only follows.

    `heard_ms` is how long ago the node that answers heard it (0: it is that node), null when it has
    not. `lag` is by how many commands it is behind the most advanced node.
    """

    id: str
    name: str
    role: Literal["voter", "worker"]
    state: Literal["starting", "up", "lost", "left"]
    alive: bool
    address: str
    heard_ms: int | None
    executed: int
    lag: int


class QuorumView(msgspec.Struct, frozen=True, kw_only=True):
    """How many voters each step needs; `tolerates` is how many may fail and all goes on."""

    voters: int
    tolerates: int
    fast: int
    slow: int
    recovery: int
    stability: int


class ConsensusView(msgspec.Struct, frozen=True, kw_only=True):
    """What the answering node says of its consensus.

    `fast`, `slow` and `recovered` count commands of the present epoch since the node began.
    `stable_lag` is how many commands it knows of and has not executed, `unstable_ms` the age of the
    oldest of them. `role` is solo, voter or learner.
    """

    role: str
    executed: int
    fast: int
    slow: int
    recovered: int
    stable_lag: int
    unstable_ms: int


class ClusterView(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster as the answering node sees it: one that is `solo` is all of it.

    `reachable` says whether that node hears a majority of the voters, `isolated_ms` since when it
    does not. `leader` starts the recovery of what others left; it decides nothing alone. `warning`
    says what is unwise about the present members.
    """

    mode: Literal["solo", "cluster"]
    cluster: str
    epoch: int
    node: str
    leader: str
    quorum: int
    quorums: QuorumView
    reachable: bool
    isolated_ms: int
    consensus: ConsensusView
    members: list[Member]
    warning: str
    revision: int
