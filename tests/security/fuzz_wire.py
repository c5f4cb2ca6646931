"""Random and hostile messages against both ends of a link: `scripts/fuzz wire --executions N`.

Messages are the golden ones, changed: cut, flipped, spliced, with claims of 4 GiB, nested 100,000
deep, with fields of other types, forged senders, other versions, replayed with an old incarnation.
They are handed to the link as its socket would. Nothing may raise, take long, or stay in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import time
from typing import Any, Final, NamedTuple

import msgspec

from actors import limits
from actors.errors import Unauthenticated
from actors.runtime import (
    Context,
    Effects,
    Inspect,
    Invoke,
    Item,
    LoopActor,
    LoopHost,
    Principal,
    Reply,
    handles,
)
from actors.runtime.envelope import VERSION, Envelope, Kind, frame_of
from actors.runtime.header import DIRECT
from actors.runtime.hello import Hello, encode_hello
from actors.runtime.link import Link
from actors.runtime.mesh import Mesh
from actors.runtime.vocabulary import Vocabulary
from tests.golden.wire.frames import HELLO, messages
from tests.unit.runtime.messages import Bang, Count, Finish

__all__ = ["Campaign", "Report"]

_SLOW_S: Final = 1.0
_SETTLE_EVERY: Final = 500
_LANES: Final = (b"known", b"strange")
_CLAIMS: Final = tuple(
    code + size.to_bytes(4, "big")
    for code in (b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9")
    for size in (0xFFFFFFFF, 0x7FFFFFFF, 0x10000)
)
_ODD: Final[tuple[Any, ...]] = (
    *(None, True, 0, 1, -1, 3, 2**31, 2**63, -(2**63), 2**64 - 1, 1.5, float("nan")),
    *("", "Inspect", "Invoke", "Terminated", "n1", "client-a", "client-b", "x" * 5000, "\ud7ff"),
    *("jobd://n1/a", "jobd://client-a/b", "jobd://client-b/b", "jobd://", "/a", "jobd://n1/no"),
    *(b"", b"\xc0" * 50, [], [[]], {}, {"a": []}, [1] * 50, msgspec.msgpack.Ext(1, b"\x00")),
    *(msgspec.msgpack.Ext(1, b"\xff"), msgspec.msgpack.Ext(-1, b"x"), "../../etc", ["read"]),
)


class Report(NamedTuple):
    """What a campaign did: executions, seconds, refusals, growth of memory in MiB, the slowest."""

    executions: int
    seconds: float
    refused: int
    delivered: int
    grown_mib: float
    slowest_s: float


class Anything(LoopActor):
    """Answers what it gets, streams too."""

    @handles(Inspect, Count)
    def stream(self, message: object, context: Context) -> Effects:
        return [Item(context.reply, n) for n in range(getattr(context.reply, "items", 0) % 8)]

    @handles(Invoke)
    def call(self, message: Invoke, context: Context) -> Effects:
        return [Reply(context.reply, [message.method, message.args, message.kwargs])]


def _admit(hello: Hello) -> Principal:
    if hello.token != HELLO.token:
        raise Unauthenticated("no such token")
    return Principal("token-1", frozenset({"read", "run"}))


def _vocabulary() -> Vocabulary:
    words = Vocabulary([Bang, Count, Finish])
    words.expose(Count, "run")
    words.expose(Invoke, "read")
    return words


class Campaign:
    """A node's ends, to clients and to nodes, and a client's, and what is thrown at them."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._host = LoopHost()
        self._host.spawn(Anything, "jobd://n1/a")
        self._refused = 0
        node = self._link(admit=_admit, cluster=HELLO.cluster)
        client = self._link(token="any", endpoint="ipc:///nowhere/at/all")
        among = self._link(admit=_admit, cluster=HELLO.cluster)
        Mesh(among, cluster=HELLO.cluster)
        self._ends = ((node, _LANES), (among, _LANES), (client, (b"node", b"bulk")))
        self._messages = messages()
        self._slowest_s = 0.0

    def _link(self, *, endpoint: str = "tcp://127.0.0.1:*", **how: Any) -> Link:
        words = _vocabulary()
        link = Link(
            self._host,
            endpoint,
            node="n1",
            incarnation=3,
            vocabulary=words,
            on_refused=self._count,
            **how,
        )
        link._timer.cancel()  # nobody pings here
        return link

    def _count(self, _refusal: object) -> None:
        self._refused += 1

    async def run(self, executions: int, seconds: float = float("inf")) -> Report:
        """Throw so many messages, or as many as the time allows; return what came of it."""
        done = 0
        began = time.perf_counter()
        warm_kib = 0
        while done < executions and time.perf_counter() - began < seconds:
            for _ in range(min(_SETTLE_EVERY, executions - done)):
                self._throw()
                done += 1
            await self._settle()
            if not warm_kib and (done >= executions // 10 or time.perf_counter() - began > 2):
                warm_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - warm_kib) / 1024
        took = time.perf_counter() - began
        handled = self._host.cells["jobd://n1/a"].handled
        for link, _ in self._ends:
            link.close()
        await self._host.shutdown()
        return Report(done, took, self._refused, handled, grown, self._slowest_s)

    def _throw(self) -> None:
        rng = self._rng
        link, lanes = self._ends[min(2, int(rng.random() * 3.5))]
        lane = lanes[rng.random() < 0.1]
        if lane != b"strange" and lane not in link.lanes:
            self._greet(link)
        message = self._mutated(rng.choice(self._messages))
        began = time.perf_counter()
        link.inbound.on_message(lane, message)
        took = time.perf_counter() - began
        if took > self._slowest_s:
            self._slowest_s = took
            assert took < _SLOW_S, [frame[:200] for frame in message]

    def _greet(self, link: Link) -> None:
        """Begin anew with good hellos: of two clients, or of a node."""
        for peer in list(link.peers.values()):
            link.lose(peer.node, "for the next message")
        link._windows.clear()
        link.refusal = None
        if link.connects:
            hellos = {b"node": Hello("node-x", 3, role="node")}
        elif link.mesh is not None:
            member = msgspec.structs.replace(HELLO, role="node")
            guest = Hello("node-g", 3, role="node", key=b"another")
            hellos = {b"known": member, b"other": guest}
        else:
            other = msgspec.structs.replace(HELLO, node="client-b", key=b"another")
            hellos = {b"known": HELLO, b"other": other}
        for lane, hello in hellos.items():
            envelope = Envelope(VERSION, int(Kind.HELLO), body=encode_hello(hello), incarnation=3)
            batch = frame_of([msgspec.msgpack.encode(envelope)])
            link.inbound.on_message(lane, [DIRECT, batch])
            assert lane in link.lanes, "a good hello is taken"

    async def _settle(self) -> None:
        """Let the actors run, forget what can't be sent, and look for what has piled up."""
        for link, _ in self._ends:
            self._greet(link)  # with new windows, so that the next questions are new
            for wire in {link._wire, link._bulk}:
                wire._outboxes.clear()
        for _ in range(30):
            await asyncio.sleep(0)
        cell = self._host.cells["jobd://n1/a"]
        assert cell.state == "running" and cell.incarnation == 1, "nothing may crash the actor"
        assert len(cell.watchers or ()) <= limits.WATCHES_PER_PEER
        for link, _ in self._ends:
            assert len(link.peers) <= 1_000
            assert len(link._windows) <= 1_000
            for peer in link.peers.values():
                assert len(peer.outlets) <= limits.STREAMS_PER_PEER
                assert len(peer.window._known) <= limits.DEDUP_IDS_PER_PEER
                assert len(peer.contacts) <= 1_000

    # -- mutations

    def _mutated(self, message: list[bytes]) -> list[bytes]:
        frames = list(message)
        rng = self._rng
        for _ in range(1 + (rng.random() < 0.3)):
            which = min(len(frames) - 1, int(rng.random() * 2.2)) if frames else 0
            kind = int(rng.random() * 8)
            if not frames or kind == 7:
                self._shuffle(frames)
            elif kind >= 4:
                frames[which] = self._with_odd_field(frames[which])
            else:
                frames[which] = self._with_odd_bytes(frames[which], kind)
        return frames

    def _shuffle(self, frames: list[bytes]) -> None:
        rng = self._rng
        other = rng.choice(self._messages)
        chance = rng.random()
        if chance < 0.3 and frames:
            frames.pop(rng.randrange(len(frames)))
        elif chance < 0.6:
            frames.extend(rng.choice(other) for _ in range(rng.randrange(1, 20)))
        elif frames:
            frames[0] = other[0]

    def _with_odd_bytes(self, frame: bytes, kind: int) -> bytes:
        rng = self._rng
        at = rng.randrange(len(frame) + 1)
        if kind == 0:
            return frame[:at]
        if kind == 1:
            flipped = bytearray(frame or b"\x00")
            for _ in range(1 + int(rng.random() * 4)):
                flipped[rng.randrange(len(flipped))] = rng.getrandbits(8)
            return bytes(flipped)
        if kind == 2:
            return frame[:at] + rng.choice(_CLAIMS) + frame[at + rng.randrange(6) :]
        if rng.random() < 0.01:
            return frame[:at] + rng.choice((b"\x91", b"\x81\xa0")) * 100_000
        return frame[:at] + rng.choice((b"\x91", b"\x81\xa0")) * rng.randrange(64) + frame[at:]

    def _with_odd_field(self, frame: bytes) -> bytes:
        """Put another value where one was, somewhere in the tree, or leave one out or add one."""
        rng = self._rng
        try:
            tree = msgspec.msgpack.decode(frame)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return frame
        place = tree
        while isinstance(place, list) and place:
            n = rng.randrange(len(place))
            if isinstance(place[n], list) and rng.random() < 0.8:
                place = place[n]
                continue
            chance = rng.random()
            if chance < 0.8:
                place[n] = rng.choice(_ODD)
            elif chance < 0.9:
                del place[n:]
            else:
                place.insert(n, rng.choice(_ODD))
            break
        return msgspec.msgpack.encode(tree)


def main() -> None:
    """Run a campaign and print its rate."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz wire", description=__doc__)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    async def campaign() -> Report:
        return await Campaign(options.seed).run(options.executions)

    report = asyncio.run(campaign())
    print(f"{report.executions:,} executions in {report.seconds:.0f} s")
    print(f"{report.executions / report.seconds:,.0f} /s")
    print(f"{report.refused:,} refusals, {report.delivered:,} messages handled")
    print(f"grown by {report.grown_mib:.0f} MiB, the slowest took {report.slowest_s * 1000:.0f} ms")


if __name__ == "__main__":
    main()
