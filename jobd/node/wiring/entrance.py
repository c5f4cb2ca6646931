"""What an empty node does before it has a state: it forms a cluster with its peers, or joins one.

Nothing of a node runs yet but its port, and behind that what others ask of one that is empty. It
ends with a data directory that a node can be started on: a founder's, whose log holds the first
epoch, or one with a snapshot that arrived.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, Final

from actors import addresses
from actors.backends.segment_log import SegmentLog
from actors.core.consensus.recovery_of_log import found
from actors.core.formation import Form, Formation, Refuse
from actors.core.joining import JoinCluster, Joined
from actors.errors import ActorUnavailable, AskTimeout, ConfigError, JobdError, Unavailable
from actors.formation import Founder
from actors.incoming import FetchSnapshot, Incoming
from actors.model.codec import SCHEMA
from actors.model.epoch import Epoch
from actors.model.join_token import parse_join_token
from actors.model.node import NodeRecord
from actors.runtime import LoopHost, Principal
from actors.runtime.hello import Hello
from actors.runtime.keys import Keys
from actors.runtime.link import Link
from actors.runtime.mesh import Mesh
from actors.runtime.vocabulary import Vocabulary
from jobd.config import Config
from jobd.node.data_directory import NodeDirectory
from jobd.node.wiring.links import NODE_TYPES
from jobd.node.wiring.port_keys import Vouching, check_peers, ticket_of
from jobd.node.wiring.snapshots import IncomingFolder
from jobd.node.wiring.stores import holds_state

__all__ = ["Entrance", "is_empty"]

_log: Final = logging.getLogger(__name__)
_PAUSE_S: Final = 0.1
_QUIET_TRIES: Final = 20
_ASK_S: Final = 30.0
_LATER: Final = (ActorUnavailable, AskTimeout, Unavailable)


def is_empty(data: Path) -> bool:
    """Say whether a directory has never been a node's that decided anything."""
    if holds_state(data):
        return False
    if not (data / "log").exists():
        return True
    with closing(SegmentLog.open(data / "log")) as log:
        return log.last_index == 0


class Entrance:
    """The port of an empty node, and what it is used for. Make it on the loop.

    `endpoint` is what the port binds to. Raises ConfigError when that is taken.
    """

    def __init__(
        self, config: Config, directory: NodeDirectory, endpoint: str, keys: Keys | None
    ) -> None:
        self._keys = keys
        self._config = config
        self._directory = directory
        self._loop = asyncio.get_running_loop()
        self._failed: asyncio.Future[JobdError] = self._loop.create_future()
        self._host = LoopHost(on_fatal=self._gave_up)
        self._link = Link(
            self._host,
            endpoint,
            node=directory.node_id,
            incarnation=directory.incarnation,
            vocabulary=Vocabulary(NODE_TYPES),
            admit=_no_clients,
            keys=keys,
        )
        self._bound = self._link.endpoint.removeprefix("tcp://")
        self._mesh = Mesh(
            self._link,
            cluster="",
            vouch=Vouching(self._host.clock).check,
            silence_s=config.cluster.failure_timeout_ms / 1000,
        )

    # -- forming

    async def form(self) -> None:
        """Return when the first epoch is durable here. Raises what makes it impossible."""
        settings, directory = self._config.cluster, self._directory
        check_peers(self._keys, settings, self._bound)
        if len(settings.bootstrap_peers) == 2:
            _log.warning("two voters: each write needs both of them, and neither may fail")
        decided: asyncio.Future[Form | Refuse] = self._loop.create_future()
        for peer in settings.bootstrap_peers:
            self._mesh.connect("", peer, bytes.fromhex(settings.keys.get(peer, "")))
        formation: list[Formation] = []

        def present() -> Formation | None:
            own = self._own_peer()
            if own and not formation:
                formation.append(
                    Formation(
                        directory.node_id,
                        self._own_key,
                        own=own,
                        peers=settings.bootstrap_peers,
                        quorum_size=settings.first_quorum_size,
                    )
                )
            return formation[0] if formation else None

        def decide(outcome: Form | Refuse) -> None:
            if not decided.done():
                decided.set_result(outcome)

        self._host.spawn(
            lambda: Founder(directory.node_id, present, linked=self._mesh.guests, decided=decide),
            addresses.FORMATION,
        )
        outcome = await self._unless_failed(decided)
        if isinstance(outcome, Refuse):
            raise outcome.error
        await self._begin(outcome.epoch)

    @property
    def _own_key(self) -> bytes:
        return self._keys.own.public if self._keys is not None else b""

    def _own_peer(self) -> str:
        """Return which bootstrap peer this node is, "" while it is not known.

        What it has dialled and turned out to be itself is dialled no more.
        """
        settings = self._config.cluster
        peers = settings.bootstrap_peers
        for known in (settings.advertise, self._bound):
            if known in peers:
                return known
        dialled = {row.address for row in self._mesh.rows()}
        return next((peer for peer in peers if peer not in dialled), "")

    async def _begin(self, epoch: Epoch) -> None:
        if epoch.number > 1:  # the others went on without this node: it begins where they are
            await self._fetch(epoch.cluster)
            return
        await asyncio.to_thread(_write_epoch, self._directory.path / "log", epoch)
        self._directory.belong(epoch.cluster)
        _log.info("formed the cluster %s of %s", epoch.cluster, ", ".join(epoch.nodes))

    # -- joining

    async def join(self, hosts: Sequence[str], token: str) -> None:
        """Return when a snapshot of the cluster is here. Raises what it is refused with."""
        text = parse_join_token(token) if token else None
        if token and text is None:
            raise ConfigError("--join-token is no join token", remedy="`jobctl cluster token`")
        key, ticket = b"", None
        if text is not None:
            key, ticket = bytes.fromhex(text.key), ticket_of(self._keys, text.secret, text.key)
        for host in hosts:
            self._mesh.connect("", host, key, curve=ticket)
        cluster = self._directory.cluster_id
        if cluster == self._directory.node_id:
            name = self._config.node.name or socket.gethostname().lower()
            address = self._config.cluster.advertised(self._bound)
            ask = JoinCluster(
                self._directory.node_id,
                NodeRecord(
                    name,
                    address=address,
                    key=self._own_key,
                    level=SCHEMA,
                    worker=self._config.cluster.role == "worker",
                ),
                text.id if text is not None else "",
                text.secret if text is not None else "",
            )
            cluster = await self._let_in(ask, hosts)
        await self._fetch(cluster)

    async def _let_in(self, ask: JoinCluster, hosts: Sequence[str]) -> str:
        """Ask one node after the other until one has let this one in; return the cluster's id."""
        said = ""
        for tries in count():
            reason = f"no answer from {', '.join(hosts)}" if tries > _QUIET_TRIES else said
            for node in sorted(self._mesh.guests()):
                try:
                    joined: Joined = await self._unless_failed(
                        self._host.ask(f"jobd://{node}/join", ask, timeout_s=_ASK_S)
                    )
                except _LATER as error:
                    reason = error.message
                    continue
                self._directory.belong(joined.epoch.cluster)
                for each in joined.nodes:
                    if each.node != self._directory.node_id:
                        self._mesh.connect(each.node, each.address, each.key)
                _log.info("joined the cluster %s", joined.epoch.cluster)
                return joined.epoch.cluster
            if reason != said:
                said = reason
                _log.info("joining a cluster: %s", reason)
            await asyncio.sleep(_PAUSE_S)
        raise AssertionError("it tries for ever")

    async def _fetch(self, cluster: str) -> None:
        """Return when a snapshot of this cluster has arrived."""
        self._directory.belong(cluster)
        self._mesh.belong(cluster)
        arrived: asyncio.Future[None] = self._loop.create_future()
        while not self._mesh.linked():
            await self._unless_failed(asyncio.sleep(_PAUSE_S))
        donor = min(self._mesh.linked())
        self._host.spawn(
            lambda: Incoming(
                IncomingFolder(self._directory.path, self._config.storage.engine),
                cluster=cluster,
                donors=lambda: tuple(sorted(self._mesh.linked())),
                arrived=lambda: self._loop.call_soon_threadsafe(arrived.set_result, None),
                fatal=lambda error: self._loop.call_soon_threadsafe(self._fail, error),
            ),
            addresses.INCOMING,
        )
        self._host.tell(addresses.INCOMING, FetchSnapshot(donor, 0))
        await self._unless_failed(arrived)

    # -- the end

    async def _unless_failed(self, work: Any) -> Any:
        """Return what the work returns. Raises what failed meanwhile."""
        task = asyncio.ensure_future(work)
        await asyncio.wait((task, self._failed), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            raise self._failed.result()
        return task.result()

    def _gave_up(self, reason: str, error: BaseException | None) -> None:
        self._fail(error if isinstance(error, JobdError) else JobdError(f"{reason}: {error!r}"))

    def _fail(self, error: JobdError) -> None:
        if not self._failed.done():
            self._failed.set_result(error)

    async def close(self) -> None:
        """Leave the port to the node."""
        await self._host.shutdown()
        self._mesh.close()
        self._link.close()


def _write_epoch(directory: Path, epoch: Epoch) -> None:
    """Make the first epoch durable in an empty log (F3)."""
    with closing(SegmentLog.open(directory)) as log:
        log.append([found(epoch)])


def _no_clients(hello: Hello) -> Principal:
    raise Unavailable("this node is not of a cluster yet", remedy="ask again in a moment")
