"""A connection of the asyncio client: one ZeroMQ socket, many questions at a time.

1. Everything happens on the loop: no thread, and no task but those of who waits.
2. What is asked within one turn of the loop goes out as one message.
3. ZMQ_FD is edge-triggered: what is there is read until EAGAIN, also after each send.
4. A tick pings, and counts a node as lost that is silent, or whose connection broke: then all that
   waits fails, and the connection is used no more.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import zmq

from actors import limits
from actors.errors import AskTimeout, JobdError
from jobd.api.message import ApiRequest
from jobd.client.connection import HELLO_S, SLICE_S, broken, probe, socket_of, unreachable
from jobd.client.session import Answer, Reading, Session, message_of

__all__ = ["AsyncConnection"]

_PARTS: Final = 256  # of one message


class AsyncConnection:
    """A link to the node at an address; `open` says hello. `error`: why it is used no more."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, token: str) -> None:
        self.address = address
        self.session = Session(token)
        self.error: JobdError | None = None
        self._loop = asyncio.get_running_loop()
        self._dealer, self._monitor = socket_of(context, address)
        self._descriptor = int(self._dealer.getsockopt(zmq.FD))
        self._outbox: list[bytes] = []
        self._is_due = False
        self._sent_s = self._heard_s = self._loop.time()
        self._loop.add_reader(self._descriptor, self._pump)
        self._timer = self._loop.call_later(SLICE_S, self._tick)

    @classmethod
    async def open(
        cls, context: zmq.Context[zmq.Socket[bytes]], address: str, token: str
    ) -> AsyncConnection:
        """Connect and say hello. Raises ActorUnavailable, and what the node refuses it with."""
        await asyncio.to_thread(probe, address)
        made = cls(context, address, token)
        try:
            made._send(made.session.hello())
            await made._arrival(made.session.welcome, HELLO_S)
            made.session.welcome.result()
        except TimeoutError:
            made.close()
            raise unreachable(address, "it does not say hello") from None
        except BaseException:
            made.close()
            raise
        return made

    async def ask(self, message: Any, timeout_s: float, to: str) -> Any:
        """Return the answer of an actor. Raises AskTimeout, and what the answer says."""
        self._check()
        return await self._settled(*self.session.ask(message, timeout_s, to), timeout_s)

    async def watch(self, actor: str, timeout_s: float | None) -> str:
        """Wait until an actor has ended for good and return the reason. Raises AskTimeout."""
        self._check()
        reason: str = await self._settled(*self.session.watch(actor), timeout_s)
        return reason

    async def _settled(self, answer: Answer, part: bytes, timeout_s: float | None) -> Any:
        self._send(part)
        try:
            await self._arrival(answer, timeout_s)
        except TimeoutError:
            raise AskTimeout(f"no answer from {self.address} by the deadline") from None
        finally:
            self.session.forget(answer)
        return answer.result()

    def read(self, request: ApiRequest) -> Reading:
        """Begin to read a stream."""
        self._check()
        reading, part = self.session.read(request)
        self._send(part)
        return reading

    async def has_next(self, reading: Reading) -> bool:
        """Wait until a stream has an item (True) or has ended."""
        while not (reading.is_ready or reading.done):
            await self._arrival(reading, None)
        return reading.is_ready

    def take(self, reading: Reading) -> Any:
        """Return an item that is there, and let the node send more."""
        item = reading.take()
        part = self.session.grant(reading)
        if part is not None:
            self._send(part)
        return item

    def cancel(self, reading: Reading) -> None:
        """Read no more of a stream."""
        part = self.session.cancel(reading)
        if part is not None:
            self._send(part)

    def close(self, error: JobdError | None = None) -> None:
        """Say good-bye, unless the node is lost by this error, and close."""
        if self.error is not None:
            return
        if error is None:
            self._send(self.session.goodbye())
            self._flush()
        else:
            self._dealer.linger = 0
        self.error = error or unreachable(self.address, "closed here", maybe_executed=True)
        self._timer.cancel()
        self._loop.remove_reader(self._descriptor)
        self._dealer.disable_monitor()
        self._monitor.close(0)
        self._dealer.close()
        self.session.fail(self.error)

    def _check(self) -> None:
        if self.error is not None:
            raise unreachable(self.address, self.error.message)

    @staticmethod
    async def _arrival(answer: Answer, timeout_s: float | None) -> None:
        """Wait until something has come for an answer. Raises TimeoutError."""
        if answer.done:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not waiter.done():
                waiter.set_result(None)

        answer.wake = wake
        try:
            await asyncio.wait_for(waiter, timeout_s)
        finally:
            answer.wake = None

    # -- the socket

    def _send(self, part: bytes) -> None:
        self._outbox.append(part)
        if not self._is_due and self.error is None:
            self._is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_due = False
        if self.error is not None:
            return
        self._flush()
        try:
            while True:
                self.session.receive(self._dealer.recv_multipart(zmq.NOBLOCK))
                self._heard_s = self._loop.time()
        except zmq.Again:
            return
        except JobdError as error:
            self.close(error)

    def _flush(self) -> None:
        """Send what the socket takes; the rest goes with the next tick."""
        try:
            while self._outbox:
                self._dealer.send_multipart(message_of(self._outbox[:_PARTS]), zmq.NOBLOCK)
                del self._outbox[:_PARTS]
                self._sent_s = self._loop.time()
        except zmq.Again:
            return

    def _tick(self) -> None:
        self._pump()
        if self.error is not None:
            return
        now = self._loop.time()
        if self._monitor.poll(0):
            self.close(broken(self.address, self._monitor, self.session))
        elif now - self._heard_s > limits.PEER_TIMEOUT_S:
            self.close(unreachable(self.address, "it is silent", maybe_executed=True))
        else:
            if now - self._sent_s > limits.HEARTBEAT_S / 2:
                self._send(self.session.ping())
            pause_s = SLICE_S if self.session.is_waiting else limits.HEARTBEAT_S
            self._timer = self._loop.call_later(pause_s, self._tick)
