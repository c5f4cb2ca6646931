"""An epoch: who votes, and how many of them it takes.

Members never change within an epoch; a `Reconfigure` command seals it and begins the next.
"""

from __future__ import annotations

from functools import cached_property

import msgspec

__all__ = ["Epoch", "Member"]


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A voter: its node id, where others reach it (HOST:PORT, "" if it only dials out), its key."""

    node: str
    address: str = ""
    key: bytes = b""  # its public CURVE key; empty while links are not encrypted


class Epoch(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """A membership generation of consensus.

    `start` is how many commands were executed before it; its first one has the index `start` + 1.
    A replica's number within the epoch is its place in `members`, from 1.
    """

    number: int
    cluster: str
    members: tuple[Member, ...]
    quorum_size: int
    start: int = 0

    def replica_of(self, node: str) -> int | None:
        """Return the replica number of a node, None when it does not vote."""
        return self._places.get(node)

    def node_of(self, replica: int) -> str:
        """Return the node of a replica."""
        return self.members[replica - 1].node

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that vote, in the order of their replica numbers."""
        return tuple(member.node for member in self.members)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {node: place for place, node in enumerate(self.nodes, 1)}
