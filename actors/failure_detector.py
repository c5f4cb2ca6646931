"""The failure detector: heartbeats to all nodes that are linked, and what follows from theirs.

It writes `Peers`, sets the cluster's clock, tells the replica who is alive and the agent whether
the node is cut off, and proposes through the store what a majority has seen: that a node is lost,
that this one leads now. Who is to be believed when is decided in `actors/core/failure_detector.py`,
what time it is in `actors/core/cluster_clock.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from actors import addresses
from actors.core.cluster_clock import ClusterClock
from actors.core.consensus.group import Alive
from actors.core.failure_detector import FailureDetector
from actors.core.heartbeat import CLOCK_SKEW, ISOLATED, UPGRADE_NEEDED, Heartbeat
from actors.core.leadership import take_lead
from actors.core.level import level_of, raise_level
from actors.core.peers import Peers
from actors.core.placement import NodeCapacity
from actors.core.session import end_session, session_revision
from actors.core.view import Change, View
from actors.executor_slot import CutOff
from actors.model import keys
from actors.model.codec import SCHEMA
from actors.runtime import After, Context, Effect, Effects, Tell, handles
from actors.runtime.address import SCHEME, node_of
from actors.store_actor import StoreActor

__all__ = ["Detector", "NodeSaying"]

_log: Final = logging.getLogger(__name__)
_ALIVE_EVERY_MS: Final = 3_000  # a replica that began anew hears it soon


class _Tick(msgspec.Struct, frozen=True):
    pass


class NodeSaying(NamedTuple):
    """What a node says of itself beside what the detector knows; see `Heartbeat`."""

    incarnation: int
    capacity: NodeCapacity
    executed: int
    recorded: int
    addresses: dict[str, str]
    version: str


class Detector(StoreActor):
    """One per node. `voters` and `linked` say who votes in the present epoch, and who can be told.

    A node that is the only one in its cluster tells nobody anything.
    """

    def __init__(
        self,
        view: View,
        peers: Peers,
        clock: ClusterClock,
        *,
        voters: Callable[[], tuple[str, ...]],
        linked: Callable[[], frozenset[str]],
        says: Callable[[], NodeSaying],
        interval_ms: int,
        timeout_ms: int,
    ) -> None:
        super().__init__(view)
        self._peers = peers
        self._node = peers.node
        self._time = clock
        self._voters = voters
        self._linked = linked
        self._says = says
        self._interval_ms = interval_ms
        self._timeout_ms = timeout_ms
        self._sessions: dict[str, int] = {}
        self._stamped_ms = 0
        self._is_cut_off = False
        self._told_agent: tuple[bool, bool] | None = None
        self._told: Alive | None = None
        self._told_ms = 0

    def on_start(self) -> Iterator[Effect]:
        """Begin with fresh timers: nobody was silent while this was not there to hear."""
        self._core = FailureDetector(
            self._node,
            interval_ms=self._interval_ms,
            timeout_ms=self._timeout_ms,
            now_ms=self._now_ms(),
        )
        self._peers.in_contact = False
        yield from super().on_start()
        yield from self._pass_time()

    # -- the feed

    def rescan(self) -> Effects:
        """Take all sessions anew."""
        self._sessions.clear()
        for key, _ in self.view.scan("session/"):
            self._take(key)
        self._follow()
        self._believe(self._now_ms())
        return None

    def changed(self, change: Change) -> Effects:
        """Take a session in, and say at once what that changes."""
        if not change.key.startswith("session/"):
            return None
        self._take(change.key)
        return self._pass_time()

    def _take(self, key: str) -> None:
        entry, node = self.view.get(key), keys.last(key)
        if entry is not None and entry.noun.state == "up":
            self._sessions[node] = entry.revision
        else:
            self._sessions.pop(node, None)
        if entry is not None:
            self._stamped_ms = max(self._stamped_ms, entry.noun.since_ms)
        else:  # it has been removed from the cluster
            self._peers.forget(node)
            self._time.forget(node)

    def _follow(self) -> None:
        voters = self._voters()
        self._core.follow(voters, self._sessions, self._now_ms())
        self._time.follow(voters, self._stamped_ms)

    # -- heartbeats

    @handles(_Tick)
    def tick(self, message: _Tick, context: Context) -> Effects:
        """Time has passed."""
        return self._pass_time()

    def _pass_time(self) -> Iterator[Effect]:
        """Beat when it is time to, say what is believed, and decide."""
        now_ms = self._now_ms()
        self._follow()
        beats = self._core.tick(now_ms)
        self._believe(now_ms)
        if beats:
            yield from self._beat(now_ms)
        yield from self.decide()
        if self._leads(now_ms):
            level = raise_level(self.view, self._voters(), self._time.now_ms())
            yield from self.submit(keys.cluster("level"), level)
        yield After(max(0, self._core.due_ms - now_ms) / 1000, _Tick(), key="tick")

    def _beat(self, now_ms: int) -> Iterator[Effect]:
        linked = self._linked() - {self._node}
        heartbeat = self._heartbeat(now_ms) if linked else None
        for node in sorted(linked):
            yield Tell(f"{SCHEME}{node}{addresses.DETECTOR}", heartbeat)
        self._told_agent = None  # an agent that began anew hears it soon

    def _heartbeat(self, now_ms: int) -> Heartbeat:
        says = self._says()
        return Heartbeat(
            node=self._node,
            incarnation=says.incarnation,
            session=session_revision(self.view, self._node, says.incarnation) or 0,
            sent_ms=self._time.own_ms(),
            heard=self._core.silent_ms(now_ms),
            capacity=says.capacity,
            revision=self.view.revision,
            executed=says.executed,
            recorded=says.recorded,
            level=SCHEMA,
            conditions=self._peers.conditions(self._node),
            addresses=says.addresses,
            version=says.version,
        )

    @handles(Heartbeat)
    def heartbeat(self, message: Heartbeat, context: Context) -> Iterator[Effect]:
        """A node was heard, if it is its own word and not that of an ended life."""
        now_ms = self._now_ms()
        is_own = context.sender is not None and node_of(context.sender) == message.node
        if not is_own or self._has_ended(message):
            return
        self._peers.hear(message, now_ms)
        self._core.heard(message.node, message.heard, now_ms)
        if not self._core.has_just_woken(now_ms):  # what waited meanwhile tells no time
            self._time.hear(message.node, message.sent_ms)
        self._believe(now_ms)
        yield from self.decide()

    def _has_ended(self, message: Heartbeat) -> bool:
        """Say whether it is of an incarnation that has left, or was followed by another."""
        known = self._peers.heartbeat(message.node)
        entry = self.view.get(keys.session(message.node))
        last = known.incarnation if known is not None else 0
        if entry is not None and entry.noun.state == "left":
            last = max(last, entry.noun.incarnation + 1)
        return message.incarnation < last

    # -- what is believed

    def _believe(self, now_ms: int) -> None:
        """Write `Peers`."""
        core, clock, peers = self._core, self._time, self._peers
        clock.tick()
        still_ms = core.take_stood_still_ms()
        if still_ms and not self._is_alone:
            still_s = still_ms / 1000
            _log.warning("this node stood still for %.1f s: it suspects nobody for that", still_s)
        since_ms = core.isolated_since_ms(now_ms)
        if since_ms is None:
            self._is_cut_off = False
        elif now_ms - since_ms >= self._timeout_ms:
            self._is_cut_off = True
        was_in_contact = peers.in_contact or since_ms is None
        found = {
            CLOCK_SKEW: clock.is_set and not clock.keeps_time,
            ISOLATED: self._is_cut_off,
            UPGRADE_NEEDED: level_of(self.view) > SCHEMA,
        }
        peers.update(
            voters=self._voters(),
            alive=core.alive(now_ms),
            leader=core.leader(now_ms),
            isolated_since_ms=since_ms,
            conditions=tuple(condition for condition, holds in found.items() if holds),
            keeps_time=clock.keeps_time,
            in_contact=clock.is_set and was_in_contact and not self._is_cut_off,
        )

    @property
    def _is_alone(self) -> bool:
        others = {*self._sessions, *self._voters()} - {self._node}
        return not others

    # -- what is proposed

    def decide(self) -> Iterator[Effect]:
        """Propose what a majority has seen, and tell agent and replica what is believed."""
        now_ms = self._now_ms()
        if self._is_alone:
            return
        yield from self._tell_agent()
        yield from self._tell_alive(now_ms)
        if not self._time.is_set:
            return
        for node, revision in self._core.lost(now_ms).items():
            entry = self.view.get(keys.session(node))
            if entry is not None and entry.revision == revision:
                lost = end_session(self.view, node, "lost", self._time.now_ms())
                yield from self.submit(keys.session(node), lost)
        if self._leads(now_ms):
            lead = take_lead(self.view, self._node, self._time.now_ms())
            yield from self.submit(keys.cluster("leader"), lead)

    def _leads(self, now_ms: int) -> bool:
        return len(self._voters()) > 1 and self._peers.in_contact and self._core.leads(now_ms)

    def _tell_agent(self) -> Iterator[Effect]:
        believed = self._peers.in_contact, self._is_cut_off
        if believed != self._told_agent:
            self._told_agent = believed
            yield Tell(addresses.AGENT, CutOff(self._is_cut_off))

    def _tell_alive(self, now_ms: int) -> Iterator[Effect]:
        alive = Alive(self._peers.alive(), self._peers.leader())
        if alive != self._told or now_ms - self._told_ms >= _ALIVE_EVERY_MS:
            self._told, self._told_ms = alive, now_ms
            yield Tell(addresses.REPLICA, alive)

    def _now_ms(self) -> int:
        return int(self.clock.monotonic_s() * 1000)
