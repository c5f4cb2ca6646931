"""The process: what this process has of actors. One loop on a thread of its own, made at first use.

Actors, the link to the node and every answer live on that thread, so that a plain script, a REPL, a
notebook and a program with an event loop of its own use actors alike, and so that no blocking
method holds up a heartbeat. Rules:
P1. What other threads want done is posted to the loop, in order, with one wake-up for many.
P2. An address is good for the life of the process: `jobd://<process>/actor/<n>`, with a process id
    that was never used before. Who has it can call it, also after a later `connect`.
P3. A forked child has the memory but not the thread: everything here refuses it.
P4. At interpreter exit actors end, the node is told, and nothing waits longer than EXIT_S.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Final

from actors.errors import ActorDied, ActorUnavailable, Conflict, JobdError
from actors.model.ids import make_id
from actors.runtime.address import SCHEME
from actors.runtime.host import LoopHost
from actors.runtime.invoke import Invoke
from actors.runtime.letter import Letter
from actors.runtime.remote.blueprint import Blueprint
from actors.runtime.remote.connection import Connection
from actors.runtime.remote.departures import Departures, refs_in
from actors.runtime.remote.graveyard import Graveyard
from actors.runtime.remote.identity import Identity
from actors.runtime.remote.messages import Begin
from actors.runtime.remote.names import Names
from actors.runtime.remote.ref import Ref, refuse_on_the_loop
from actors.runtime.remote.results import Results
from actors.runtime.remote.user_actor import UserActor
from actors.runtime.trace import CURRENT

__all__ = ["Process", "process"]

EXIT_S: Final = 1.5
_ID_BITS: Final = 80


class _Host(LoopHost):
    """The loop of a process with actors at addresses that begin with `prefix`."""

    has_ended = False

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.graveyard = Graveyard()
        self._prefix = prefix

    def nobody_at(self, address: str) -> JobdError:
        """Say why an actor has ended."""
        if address.startswith(self._prefix):
            return self.graveyard.death_of(address)
        return super().nobody_at(address)

    def post(self, call: Callable[[], object]) -> None:
        """Have the loop's thread make a call, soon and in the order of one thread's posts."""
        if self.has_ended:
            raise ActorUnavailable("the actors of this process have ended", maybe_executed=False)
        self._carry_over(call)


class Process:
    """The actors of this process and its way to those of others."""

    def __init__(self) -> None:
        self.id = f"p-{make_id(time.time_ns() // 1_000_000, secrets.randbits(_ID_BITS))}"
        self._prefix = f"{SCHEME}{self.id}/actor/"
        # The key tells the node that it is the same process when it links up once more.
        self._identity = Identity(self.id, secrets.token_bytes(16), count(1))
        self.host: _Host
        self.names = Names(self)
        self.connection: Connection | None = None
        self._connecting = threading.Lock()
        self.departures: Departures
        self._numbers = count(1)  # of calls and of actors
        self._closing: asyncio.Event
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="actor loop", daemon=True)
        self._thread.start()
        self._started.wait()

    # -- the loop's thread

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._closing = asyncio.Event()
        self.host = _Host(self._prefix)
        self.departures = Departures(self.host.deliver)
        Ref.loop_thread = threading.get_ident()
        self._started.set()
        await self._closing.wait()
        await self.host.shutdown()
        if self.connection is not None:
            self.connection.close()
        self.host.has_ended = True

    def _bury(self, address: str, death: ActorDied) -> None:
        self.host.graveyard.bury(address, death)
        self.names.forget(address)

    # -- any thread

    def connect(self, endpoint: str, token: str, timeout_s: float, key_file: str) -> None:
        """Link this process to a node; see `verbs.connect`."""
        refuse_on_the_loop("connecting")
        with self._connecting:
            if self.connection is not None:
                raise Conflict(
                    f"this process is connected to {self.connection.endpoint}",
                    remedy="actors.disconnect() comes first.",
                )
            connection = Connection(
                self.host, self.on_loop, self, self._identity, endpoint, key_file
            )
            try:
                connection.open(token, timeout_s)
                # From here on new names go to the node, so that none is missed.
                self.names.service = connection
                connection.keep(self.names.own)
            except BaseException:
                self.names.service = None
                connection.close()
                raise
            self.connection = connection

    def disconnect(self) -> None:
        """Part from the node; the actors go on in this process."""
        with self._connecting:
            if self.connection is not None:
                self.names.service = None
                self.connection.close()
                self.connection = None

    def new_address(self) -> str:
        """Return an address of this process that no actor has had."""
        return f"{self._prefix}{next(self._numbers)}"

    def start(self, plan: Blueprint, address: str, *, begins: bool = True) -> None:
        """Have an actor start. Its constructor may still be running when this returns.

        One that doesn't begin takes calls in, and is constructed after `begin`.
        """
        make = partial(UserActor, plan, self.host, self._bury, begins=begins)
        self.on_loop(partial(self.host.spawn, make, address, restart="temporary"))

    def begin(self, address: str) -> None:
        """Have an actor begin that was started without."""
        self.on_loop(partial(self.host.tell, address, Begin()))

    def stop(self, address: str) -> None:
        """End an actor."""
        self.on_loop(partial(self.host.stop, address))

    def call(
        self,
        address: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout_s: float | None,
    ) -> Ref[Any]:
        """Call a method of an actor anywhere; with a timeout the call itself ends then."""
        ref: Ref[Any] = Ref(address, next(self._numbers))
        trace = CURRENT.get()
        letter = Letter(Invoke(method, args, kwargs, ref.call), ref, None, 0, trace)
        if timeout_s is not None:
            letter.deadline_ms = self.host.now_ms() + int(timeout_s * 1000)
            self.on_loop(partial(self.host.deadlines.add, ref, letter.deadline_ms))
        departs = self.departures
        send = departs.send_when_ready if refs_in(args, kwargs) else departs.send
        self.on_loop(partial(send, address, letter))
        return ref

    def stream(
        self, address: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Results[Any]:
        """Call a method that yields items."""
        results: Results[Any] = Results(self.host, address, self.on_loop)
        call = Invoke(method, args, kwargs, next(self._numbers))
        letter = Letter(call, results.outlet, None, 0, CURRENT.get())
        self.on_loop(partial(self._open, address, letter, results))
        return results

    def _open(self, address: str, letter: Letter, results: Results[Any]) -> None:
        self.departures.send(address, letter)
        results.outlet.bind(self.host.cells.get(address))

    def ask(self, address: str, message: Any) -> Ref[Any]:
        """Ask an actor anywhere something else than a call of a method."""
        ref: Ref[Any] = Ref(address, 0)
        self.on_loop(partial(self.departures.send, address, Letter(message, ref)))
        return ref

    def on_loop(self, call: Callable[[], object]) -> None:
        """Make a call on the loop's thread: at once if this is it, else soon and in order."""
        if threading.get_ident() == Ref.loop_thread:
            call()
        else:
            self.host.post(call)

    def close(self) -> None:
        """End every actor of this process and the link to its node."""
        self.host.post(self._closing.set)
        self._thread.join(EXIT_S)


class _Forked(Process):
    """What the process of a forked child becomes: handles that it has inherited refuse as well."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(
            "this process was forked from one that uses actors, whose thread it doesn't have: "
            "start it with multiprocessing's 'spawn' or 'forkserver' method instead"
        )


_lock = threading.Lock()
_process: Process | None = None


def process() -> Process:
    """Return this process's actors, starting their loop at the first use."""
    global _process
    if _process is None:
        with _lock:
            if _process is None:
                _process = Process()
    return _process


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


@atexit.register
def end() -> None:
    """End this process's actors; the next use starts anew, under another process id."""
    global _process
    ended, _process = _process, None
    if ended is not None and not isinstance(ended, _Forked):
        ended.close()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it
    if _process is not None:
        _process.__class__ = _Forked


os.register_at_fork(after_in_child=_after_fork)
