"""The first formation of a cluster: which nodes begin it, decided by each of them alike.

Every bootstrap peer asks every other, round by round. Rules:
F1  A cluster begins only when all bootstrap peers have answered "empty" in one round, and all of
    them, this one too, would begin the same epoch: the same nodes, addresses, keys and quorum.
F2  The epoch is a function of the peers alone: members in the order of their ids, the cluster's id
    drawn from these. So nodes that begin at different moments begin the same cluster.
F3  The epoch is durable here before this node votes in it, and before it tells anyone of it.
F4  A peer that is of a cluster already is believed: if its epoch has this node, this node begins
    with it (it was slow, or fell between the others' decision and its own); if not, it is refused,
    and may join. An empty disk has another id than the one it replaces, so it never votes as that.
F5  A node with data forms nothing: it is a cluster of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from actors.errors import ConfigError, Conflict, JobdError
from actors.model.epoch import Epoch, Member
from actors.model.ids import id_time_ms, make_id

__all__ = ["Form", "Formation", "Refuse", "Says", "Wait", "WhoAreYou", "cluster_of", "first_epoch"]

_ID_BITS: Final = 80


class WhoAreYou(msgspec.Struct, frozen=True):
    """Ask a node what it is; answered with Says."""


class Says(msgspec.Struct, frozen=True):
    """What a node answers. `address`: which bootstrap peer it is, "" if none.

    `formed` is the epoch of its cluster, None while it is empty; `plan` the epoch that it would
    begin, None while it doesn't know all peers.
    """

    node: str
    address: str = ""
    key: bytes = b""
    formed: Epoch | None = None
    plan: Epoch | None = None


class Wait(NamedTuple):
    """Not yet: what is waited for, in words."""

    reason: str


class Form(NamedTuple):
    """Begin with this epoch."""

    epoch: Epoch


class Refuse(NamedTuple):
    """This node can't be part of it."""

    error: JobdError


class Formation:
    """One node's rounds. `peers` are all bootstrap peers, `own` this one's address among them."""

    def __init__(
        self, node: str, key: bytes, *, own: str, peers: Sequence[str], quorum_size: int
    ) -> None:
        self._me = Member(node, own, key)
        self._peers = tuple(peers)
        self._quorum_size = quorum_size
        self._heard: dict[str, Says] = {}  # of the present round, by node
        self._plan: Epoch | None = self._planned()

    def says(self) -> Says:
        """Return what this node answers."""
        me = self._me
        return Says(me.node, me.address, me.key, None, self._plan)

    def begin_round(self) -> None:
        """Forget what was answered before: an old "empty" proves nothing (F1)."""
        self._heard.clear()

    def heard(self, says: Says) -> Form | Refuse | Wait:
        """Take an answer of the present round."""
        if says.formed is not None:
            return self._told_of(says.node, says.formed)
        if says.address in self._peers and says.node != self._me.node:
            self._heard[says.node] = says
        others = list(self._heard.values())
        for each in others:
            same = [other.node for other in others if other.address == each.address]
            if len(same) > 1 or each.address == self._me.address:
                twins = f"{same[0]} and {same[1] if len(same) > 1 else self._me.node}"
                return Refuse(
                    ConfigError(
                        f"the nodes {twins} both say that they are {each.address}",
                        remedy="give each its own address of cluster.bootstrap_peers with"
                        " cluster.advertise",
                    )
                )
        return self.state()

    def state(self) -> Form | Wait:
        """Say what the present round came to so far."""
        self._plan = self._planned()
        if self._plan is None:
            here = 1 + len(self._heard)
            missing = [peer for peer in self._peers if peer not in self._addresses()]
            return Wait(f"{here} of {len(self._peers)} peers answer, waits for {missing[0]}")
        for says in self._heard.values():
            if says.plan is None:
                return Wait(f"all peers answer, waits until {says.address} knows them all")
            if says.plan != self._plan:
                return Wait(
                    f"{says.address} would begin another cluster: its bootstrap_peers, keys or"
                    " quorum_size differ from this node's"
                )
        return Form(self._plan)

    def _addresses(self) -> set[str]:
        return {self._me.address, *(says.address for says in self._heard.values())}

    def _planned(self) -> Epoch | None:
        if self._addresses() != set(self._peers):
            return None
        others = (Member(says.node, says.address, says.key) for says in self._heard.values())
        return first_epoch((self._me, *others), self._quorum_size)

    def _told_of(self, teller: str, epoch: Epoch) -> Form | Refuse:
        if epoch.replica_of(self._me.node) is not None:
            return Form(epoch)
        return Refuse(
            Conflict(
                f"node {teller} is of the cluster {epoch.cluster} already, and this node is not",
                remedy="start this one without bootstrap_peers and with --join, or on an empty"
                " data directory at all nodes",
            )
        )


def first_epoch(members: Sequence[Member], quorum_size: int) -> Epoch:
    """Return epoch 1 of these members (F2)."""
    ordered = tuple(sorted(members, key=lambda member: member.node))
    return Epoch(1, cluster_of([member.node for member in ordered]), ordered, quorum_size)


def cluster_of(nodes: Sequence[str]) -> str:
    """Return the id of the cluster that these nodes begin: as old as the youngest of them."""
    if len(nodes) == 1:
        return nodes[0]
    digest = hashlib.blake2b("\n".join(sorted(nodes)).encode(), digest_size=_ID_BITS // 8).digest()
    return make_id(max(map(id_time_ms, nodes)), int.from_bytes(digest, "big"))
