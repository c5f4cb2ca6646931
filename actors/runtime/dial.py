"""A dial: a node is connected to at one of its addresses, for ever.

Each attempt is a connection of its own: the name is looked up, the main lane says hello, and once
that was answered the bulk lane does. What ends it (a refusal, a broken connection, no hello within
_ATTEMPT_S) is followed by a pause, twice as long each time, and by the next address.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.runtime.cell import TimerHandle
from actors.runtime.curve import Curve
from actors.runtime.hello import BULK
from actors.runtime.wire import Frame, Lane, Wire

if TYPE_CHECKING:
    from actors.runtime.mesh import Mesh

__all__ = ["Dial", "Target"]

_ATTEMPT_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0
_REFUSED_PAUSE_S: Final = 3.0  # what was refused on purpose is seldom accepted a moment later
_JITTER: Final = 0.3


class Target(NamedTuple):
    """Where to connect to: HOST:PORT, the key of who answers there, the key pair to come with."""

    address: str
    key: bytes = b""
    curve: Curve | None = None


class Dial:
    """The way of this node to another. `node`: its id, "" until it is known.

    `error` says why it is not linked this way, and is "" while it is.
    """

    def __init__(self, mesh: Mesh, node: str, target: Target) -> None:
        self.node = node
        self.error = "not tried yet"
        self.main: Lane = b""  # of the present attempt
        self._mesh = mesh
        self._targets: dict[str, Target] = {target.address: target}
        self._present = target
        self._turn = 0
        self.bulk: Lane = b""
        self._wires: dict[Lane, Wire] = {}
        self._pause_s = _FIRST_PAUSE_S
        self._is_closed = False
        self._looking_up: asyncio.Task[None] | None = None
        self._timer: TimerHandle = mesh.link.engine.call_later(0, self._attempt)

    @property
    def address(self) -> str:
        """The address of the present attempt, or of the last one."""
        return self._present.address

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where the node may be found."""
        return tuple(self._targets.values())

    def aim(self, *targets: Target) -> None:
        """Have more addresses, or another key for one; they come next, unless it is linked."""
        new = {each.address: each for each in targets if self._targets.get(each.address) != each}
        if new:
            # Where it is known as itself, it comes with another's key pair no more.
            tickets = all(each.curve for each in new.values())
            kept = {k: v for k, v in self._targets.items() if tickets or not v.curve}
            self._targets = {**new, **{k: v for k, v in kept.items() if k not in new}}
            self._turn = 0
            if self.error:
                self._start_over(0)

    @property
    def key(self) -> bytes:
        """The key of who answers there, as this node knows it."""
        return self._present.key

    def close(self, *, at_once: bool = True) -> None:
        """Dial no more; unless at once, what is still to be sent leaves first."""
        self._is_closed = True
        self._hang_up(at_once=at_once)

    # -- an attempt

    def _start_over(self, pause_s: float) -> None:
        self._hang_up()
        if not self._is_closed:
            self._timer = self._mesh.link.engine.call_later(pause_s, self._attempt)

    def _hang_up(self, *, at_once: bool = True) -> None:
        self._timer.cancel()
        if self._looking_up is not None:
            self._looking_up.cancel()
            self._looking_up = None
        wires, self._wires = self._wires, {}
        for lane, wire in wires.items():
            self._mesh.link.forget_wire(lane)
            wire.close(at_once=at_once)
        self.main = self.bulk = b""

    def _attempt(self) -> None:
        self._present = self.targets[self._turn % len(self._targets)]
        self._turn += 1
        self._looking_up = asyncio.get_running_loop().create_task(self._look_up(self._present))

    def _took_too_long(self) -> None:
        self.failed(f"no hello within {_ATTEMPT_S:g} s")

    async def _look_up(self, target: Target) -> None:
        """Go on once the name is known; a second look-up would only hold another thread."""
        host, _, port = target.address.rpartition(":")
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host.strip("[]"), int(port), type=socket.SOCK_STREAM
            )
        except (OSError, ValueError) as error:
            self._looking_up = None
            self.failed(str(error))
            return
        self._looking_up = None
        self._timer = self._mesh.link.engine.call_later(_ATTEMPT_S, self._took_too_long)
        name = str(found[0][4][0])
        bracketed = f"[{name}]" if ":" in name else name
        self._endpoint = f"tcp://{bracketed}:{port}"
        self.main = self._open()
        self._mesh.say_hello(self.main)

    def _open(self) -> Lane:
        link, target, lane = self._mesh.link, self._present, self._mesh.new_lane()
        own = target.curve or (link.keys.own if link.keys is not None else None)
        self._wires[lane] = link.open_wire(
            self._endpoint,
            lane,
            curve=own.to(target.key) if own is not None and target.key else None,
            on_message=self._on_message,
            on_end=lambda reason: self._mesh.lose_dialled(self, lane, reason),
        )
        return lane

    def _on_message(self, lane: Lane, frames: list[Frame]) -> None:
        self._mesh.on_dialled(self, lane, frames)

    # -- what comes of it

    def answered(self) -> None:
        """Go on with the bulk lane: the main one is linked."""
        self._timer.cancel()
        self._pause_s = _FIRST_PAUSE_S
        self.error = ""
        self._open_bulk()

    def _open_bulk(self) -> None:
        self.bulk = self._open()
        self._mesh.say_hello(self.bulk, BULK)

    def failed(self, reason: str, *, refused: bool = False) -> None:
        """Try again, after a pause."""
        self.error = reason
        pause_s = _REFUSED_PAUSE_S if refused else self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._start_over(pause_s * (1 + _JITTER * self._mesh.link.engine.rng.random()))

    def lost(self, lane: Lane, reason: str) -> None:
        """Go on without a lane of ours: another bulk lane is opened, without the main one all."""
        if lane == self.main:
            self.failed(reason)
        elif lane == self.bulk:
            self._mesh.link.forget_wire(lane)
            self._wires.pop(lane).close(at_once=True)
            self.bulk = b""
            self._timer = self._mesh.link.engine.call_later(_LONGEST_PAUSE_S, self._open_bulk)
