"""A connection of the blocking client: one ZeroMQ socket, used by one thread at a time.

Nothing runs behind the caller's back. So, what keeps the link alive:
1. While the caller waits for an answer this thread pings each HEARTBEAT_S, and a node that has said
   nothing for PEER_TIMEOUT_S, or whose connection breaks, is lost.
2. A connection that has been silent for IDLE_S is not used again: the node may count it as lost.
   A new one costs about a millisecond.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from actors import limits
from actors.errors import ActorUnavailable, AskTimeout
from jobd.api.message import ApiRequest
from jobd.client.keys import curve_for, key_part, place_of
from jobd.client.session import Answer, Reading, Session, message_of

__all__ = [
    "HELLO_S",
    "IDLE_S",
    "SLICE_S",
    "Connection",
    "broken",
    "probe",
    "socket_of",
    "unreachable",
]

IDLE_S: Final = limits.PEER_TIMEOUT_S * 0.6
CONNECT_S: Final = 2.0
HELLO_S: Final = float(limits.PEER_TIMEOUT_S)
SLICE_S: Final = 0.2  # between two looks at the time and at the connection
_LINGER_MS: Final = 200
_ENDS: Final = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


def unreachable(address: str, why: str, *, maybe_executed: bool = False) -> ActorUnavailable:
    """Return the error of a node that is not there."""
    return ActorUnavailable(
        f"no node answers at {address} ({why})",
        maybe_executed=maybe_executed,
        remedy="Start one with `jobd start`, or name one with JOBD_ADDRESS.",
    )


def probe(address: str) -> None:
    """See that somebody listens: ZeroMQ would try for ever and say nothing.

    Raises ActorUnavailable.
    """
    host, _, port = place_of(address).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror
        raise unreachable(address, (why or str(error)).lower()) from None


def socket_of(
    context: zmq.Context[zmq.Socket[bytes]], address: str
) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """Return a connected DEALER and the socket that tells of its disconnection.

    Raises ConfigError when the node wants a key and there is none.
    """
    curve = curve_for(address)
    dealer = context.socket(zmq.DEALER)
    dealer.linger = _LINGER_MS
    dealer.setsockopt(zmq.MAXMSGSIZE, limits.BLOB_BYTES)
    dealer.setsockopt(zmq.IPV6, 1)
    if curve is not None:
        curve.apply(dealer)
    monitor = dealer.get_monitor_socket(_ENDS)
    dealer.connect(f"tcp://{place_of(address)}")
    return dealer, monitor


def broken(address: str, monitor: zmq.Socket[bytes], session: Session) -> ActorUnavailable:
    """Return the error of a connection that has ended, as its monitor tells."""
    event = parse_monitor_message(monitor.recv_multipart())["event"]
    if session.welcome.done:
        return unreachable(address, "the connection broke", maybe_executed=True)
    why = "it ended the connection before its hello: does it want a key, as in KEY@HOST:PORT?"
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        why = "it doesn't know this client's key: `jobd keys allow` adds it"
    elif key_part(address):
        why = "it has no keys, or another than the address says"
    return unreachable(place_of(address), why)


class Connection:
    """A link to the node at an address; making it says hello, within `timeout_s` at most.

    Raises ActorUnavailable when none answers, and what the node refuses it with. After any error
    but an answer of its own, close it.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: str,
        token: str,
        timeout_s: float,
    ) -> None:
        self.address = address
        self.session = Session(token)
        probe(address)
        self._dealer, self._monitor = socket_of(context, address)
        self._dealer.rcvtimeo = int(SLICE_S * 1_000)
        self._sent_s = self._heard_s = time.monotonic()
        self._is_stale = False
        try:
            self._send(self.session.hello())
            deadline = self._sent_s + min(HELLO_S, timeout_s)
            while not self.session.welcome.done:
                self._step()
                if time.monotonic() > deadline:
                    raise unreachable(address, "it does not say hello")
        except BaseException:
            self.close()
            raise

    @property
    def is_fresh(self) -> bool:
        """Whether the node surely counts it as there; once it may not, it never is again."""
        self._is_stale |= time.monotonic() - self._sent_s > IDLE_S
        return not self._is_stale

    def ask(self, message: Any, timeout_s: float, to: str) -> Any:
        """Return the answer of an actor. Raises AskTimeout, and what the answer says."""
        return self._settled(*self.session.ask(message, timeout_s, to), timeout_s)

    def watch(self, actor: str, timeout_s: float | None) -> str:
        """Wait until an actor has ended for good and return the reason. Raises AskTimeout."""
        reason: str = self._settled(*self.session.watch(actor), timeout_s)
        return reason

    def _settled(self, answer: Answer, part: bytes, timeout_s: float | None) -> Any:
        self._send(part)
        self._heard_s = self._sent_s
        deadline = None if timeout_s is None else self._sent_s + timeout_s
        while not answer.done:
            self._step()
            if not answer.done and deadline is not None and time.monotonic() > deadline:
                raise AskTimeout(f"no answer from {self.address} by the deadline")
        return answer.result()

    def read(self, request: ApiRequest) -> Reading:
        """Begin to read a stream."""
        reading, part = self.session.read(request)
        self._send(part)
        self._heard_s = self._sent_s
        return reading

    def has_next(self, reading: Reading) -> bool:
        """Wait until a stream has an item (True) or has ended."""
        while not (reading.is_ready or reading.done):
            self._step()
        return reading.is_ready

    def take(self, reading: Reading) -> Any:
        """Return an item that is there, and let the node send more."""
        item = reading.take()
        part = self.session.grant(reading)
        if part is not None:
            self._send(part)
        elif time.monotonic() - self._sent_s > limits.HEARTBEAT_S:
            self._send(self.session.ping())
        return item

    def cancel(self, reading: Reading) -> None:
        """Read no more of a stream."""
        part = self.session.cancel(reading)
        if part is not None:
            self._send(part)

    def close(self) -> None:
        """Say good-bye and close."""
        try:
            self._dealer.send_multipart(message_of([self.session.goodbye()]), zmq.NOBLOCK)
        except zmq.ZMQError:
            self._dealer.linger = 0
        self._dealer.disable_monitor()
        self._monitor.close(0)
        self._dealer.close()

    # -- the socket

    def _send(self, part: bytes) -> None:
        try:
            self._dealer.send_multipart(message_of([part]), zmq.NOBLOCK)
        except zmq.Again:
            raise unreachable(self.address, "it takes no more") from None
        self._sent_s = time.monotonic()

    def _step(self) -> None:
        """Receive a message, or see after a moment that the link still is one."""
        try:
            frames = self._dealer.recv_multipart()
        except zmq.Again:
            self._look()
            return
        self._heard_s = time.monotonic()
        self.session.receive(frames)

    def _look(self) -> None:
        now = time.monotonic()
        if self._monitor.poll(0):
            raise broken(self.address, self._monitor, self.session)
        if now - self._heard_s > limits.PEER_TIMEOUT_S:
            raise unreachable(self.address, "it is silent", maybe_executed=True)
        if now - self._sent_s > limits.HEARTBEAT_S:
            self._send(self.session.ping())
