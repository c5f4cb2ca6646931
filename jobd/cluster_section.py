"""cluster: the section of the configuration that says who the other nodes are."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Literal

import msgspec

from actors.core.consensus.quorums import Quorums, default_quorum_size
from actors.errors import ConfigError

__all__ = ["ClusterSection", "check_address"]

_WILDCARDS: Final = ("", "*", "0.0.0.0", "::")  # noqa: S104 - where nobody can be told to dial
_WORKER_PEERS: Final = "a worker is never among them: leave them out, and start it with --join"


class ClusterSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where this node is reached, and with whom it forms its cluster at its first start.

    `advertise` is what others dial, by default where it is bound; a node that is bound everywhere
    and advertises nothing only dials out. `keys` are the public keys of bootstrap peers by their
    address. `quorum_size` 0 lets as many members fail as can. `durable_decisions`
    false: a write is answered before its node's own third fsync.
    """

    enabled: bool = True
    bind: str = "127.0.0.1:7800"
    advertise: str = ""
    bootstrap_peers: tuple[str, ...] = ()
    quorum_size: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    heartbeat_interval_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 1_000
    failure_timeout_ms: Annotated[int, msgspec.Meta(ge=500, le=600_000)] = 5_000
    keys: dict[str, str] = {}
    role: Literal["voter", "worker"] = "voter"
    durable_decisions: bool = True

    @property
    def first_quorum_size(self) -> int:
        """The quorum size of the first epoch."""
        return self.quorum_size or default_quorum_size(max(1, len(self.bootstrap_peers)))

    def advertised(self, bound: str) -> str:
        """Return where others reach this node, "" when they can't. `bound` is its own HOST:PORT."""
        if self.advertise or not self.enabled:
            return self.advertise if self.enabled else ""
        host = bound.rpartition(":")[0].strip("[]")
        return "" if host in _WILDCARDS else bound

    def check(self) -> None:
        """Raise ConfigError for what can't be: one line that names the key, and the remedy."""
        peers = self.bootstrap_peers
        for peer in peers:
            check_address("cluster.bootstrap_peers", peer)
        if self.advertise:
            check_address("cluster.advertise", self.advertise)
        twice = [peer for peer, count in Counter(peers).items() if count > 1]
        if twice:
            raise ConfigError(
                f"cluster.bootstrap_peers names {twice[0]} twice", remedy="name each node once"
            )
        if peers and self.role == "worker":
            raise ConfigError("cluster.role worker has bootstrap_peers", remedy=_WORKER_PEERS)
        if peers and not self.enabled:
            raise ConfigError(
                "cluster.bootstrap_peers are given and cluster.enabled is false",
                remedy="leave one of them out",
            )
        if self.failure_timeout_ms < 3 * self.heartbeat_interval_ms:
            raise ConfigError(
                f"cluster.failure_timeout_ms {self.failure_timeout_ms} is below three heartbeats",
                remedy=f"give at least {3 * self.heartbeat_interval_ms}",
            )
        self._check_keys()
        try:
            Quorums.of(max(1, len(peers)), self.first_quorum_size)
        except ConfigError as error:
            raise ConfigError(f"cluster.{error.message}", remedy=error.remedy) from None

    def _check_keys(self) -> None:
        for address, key in self.keys.items():
            if address not in self.bootstrap_peers:
                raise ConfigError(
                    f"cluster.keys has {address}, which is no bootstrap peer",
                    remedy="name it as in cluster.bootstrap_peers",
                )
            if len(key) != 64 or not set(key) <= set("0123456789abcdefABCDEF"):
                raise ConfigError(
                    f"cluster.keys: what stands for {address} is no key",
                    remedy="give the 64 digits that `jobd keys show` prints on that node",
                )


def check_address(key: str, text: str) -> tuple[str, int]:
    """Return host and port. Raises ConfigError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigError(f"{key}: {text!r} is not HOST:PORT", remedy="for example node1:7800")
    return host.strip("[]"), int(port)
