"""The client's side of a link, without a socket: messages in, parts of messages out.

`actors/runtime/link.py` is the other side.

1. The first message is a HELLO with the token; until the node has said hello nothing else is sent.
2. Questions are numbered from 1 and never repeated under their number: whether one may be asked
   again is decided above, by its idempotency key.
3. A stream is granted what has been taken from it, half of its credit at a time; its items are
   numbered, since large ones may overtake small ones.
4. Frames that are no envelopes, and answers to what was not asked, end the session.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import msgspec

from actors import addresses
from actors.errors import ActorUnavailable, Forbidden, JobdError, Unauthenticated
from actors.runtime.envelope import (
    VERSION,
    BadFrame,
    Envelope,
    Kind,
    decode_error,
    decode_frame,
    frame_of,
)
from actors.runtime.header import DIRECT
from actors.runtime.hello import Hello, decode_hello, encode_hello
from actors.runtime.signals import Terminated
from actors.runtime.vocabulary import Vocabulary
from jobd.api.message import ApiRequest

__all__ = ["Answer", "Reading", "Session", "message_of"]

_INCARNATION: Final = 1  # of a process that is nobody else's
_CREDIT: Final = (64, 1024 * 1024)  # items, bytes
_ENCODER: Final = msgspec.msgpack.Encoder()
_VOCABULARY: Final = Vocabulary((ApiRequest,))


def message_of(parts: list[bytes]) -> list[bytes]:
    """Return the frames of a message to the node."""
    return [DIRECT, frame_of(parts)]


class Answer:
    """The answer of a question, once it is there: a value, or an error.

    `wake`, if there is one, is called whenever something has come.
    """

    __slots__ = ("done", "error", "number", "value", "wake")

    def __init__(self, number: int) -> None:
        self.number = number
        self.done = False
        self.value: Any = None
        self.error: JobdError | None = None
        self.wake: Callable[[], object] | None = None

    def settle(self, value: Any, error: JobdError | None) -> None:
        """Take the answer."""
        self.done, self.value, self.error = True, value, error
        self._came()

    def _came(self) -> None:
        if self.wake is not None:
            self.wake()

    def result(self) -> Any:
        """Return the value. Raises the error."""
        if self.error is not None:
            raise self.error
        return self.value


class Reading(Answer):
    """A stream: its items as they come, in their order; `done` and the value once it has ended."""

    __slots__ = ("_count", "_early", "_ending", "_items", "_taken")

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._items: deque[tuple[Any, int]] = deque()
        self._early: dict[int, tuple[Any, int]] = {}
        self._count = 0  # items that have come in order
        self._taken = [0, 0]  # items and bytes that were taken and not yet granted again
        self._ending: tuple[int, Any, JobdError | None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is an item to take."""
        return bool(self._items)

    def take(self) -> Any:
        """Return the next item."""
        item, size = self._items.popleft()
        self._taken[0] += 1
        self._taken[1] += size
        return item

    def due(self) -> tuple[int, int] | None:
        """Return the credit to grant, once it is half of all."""
        items, size = self._taken
        if self.done or not (2 * items >= _CREDIT[0] or 2 * size >= _CREDIT[1]):
            return None
        self._taken = [0, 0]
        return items, size

    def came(self, number: int, value: Any, size: int) -> None:
        """Take an item as it comes."""
        self._early[number] = (value, size)
        while (ready := self._early.pop(self._count + 1, None)) is not None:
            self._items.append(ready)
            self._count += 1
        self._came()
        self._finish()

    def ends(self, sent: int, value: Any, error: JobdError | None) -> None:
        """Take the end, behind so many items; some of them may still be on their way."""
        self._ending = (sent, value, error)
        self._finish()

    def _finish(self) -> None:
        if self._ending is not None and self._count >= self._ending[0]:
            self.settle(*self._ending[1:])


class Session:
    """One link of a client: what it returns is to be sent, what arrives goes to `receive`.

    `welcome` is the node's id, once it has said hello.
    """

    def __init__(self, token: str) -> None:
        self.process = f"client-{secrets.token_hex(6)}"
        self.welcome = Answer(0)
        self._token = token
        self._numbers = count(1)
        self._asked: dict[int, Answer] = {}
        self._watched: dict[str, Answer] = {}  # by address

    @property
    def is_waiting(self) -> bool:
        """Whether any question has no answer yet."""
        return bool(self._asked) or not self.welcome.done

    # -- to the node

    def hello(self) -> bytes:
        """Say who this is."""
        hello = Hello(
            self.process,
            _INCARNATION,
            role="client",
            token=self._token,
            features=("streams",),
            key=secrets.token_bytes(16),
        )
        return self._part(Kind.HELLO, body=encode_hello(hello))

    def ask(self, message: Any, timeout_s: float, to: str) -> tuple[Answer, bytes]:
        """Ask an actor of the node; the answer is what `receive` settles."""
        answer = Answer(next(self._numbers))
        part = self._question(answer, message, to, deadline_ms=max(1, int(timeout_s * 1_000)))
        return answer, part

    def read(self, message: Any) -> tuple[Reading, bytes]:
        """Ask the API for a stream."""
        reading = Reading(next(self._numbers))
        items, size = _CREDIT
        return reading, self._question(reading, message, addresses.API, items=items, size=size)

    def grant(self, reading: Reading) -> bytes | None:
        """Let a stream go on, once enough of it was taken."""
        due = reading.due()
        if due is None:
            return None
        to = self._address(addresses.API)
        return self._part(Kind.CREDIT, corr=reading.number, dst=to, items=due[0], size=due[1])

    def cancel(self, reading: Reading) -> bytes | None:
        """Read no more of a stream."""
        if self._asked.pop(reading.number, None) is None:
            return None
        return self._part(Kind.CANCEL, corr=reading.number, dst=self._address(addresses.API))

    def forget(self, answer: Answer) -> None:
        """Wait no longer for an answer: it is ignored when it comes."""
        self._asked.pop(answer.number, None)

    def watch(self, actor: str) -> tuple[Answer, bytes]:
        """Be told when an actor of the node ends for good; the answer is the reason."""
        address = self._address(actor)
        answer = self._watched[address] = Answer(0)
        source = f"jobd://{self.process}/watcher"
        return answer, self._part(Kind.WATCH, dst=address, src=source)

    def ping(self) -> bytes:
        """Show that this process lives."""
        return self._part(Kind.PING)

    def goodbye(self) -> bytes:
        """Part."""
        return self._part(Kind.GONE)

    def _question(self, answer: Answer, message: Any, to: str, **fields: Any) -> bytes:
        name, body, _ = _VOCABULARY.encode(message)
        self._asked[answer.number] = answer
        to = self._address(to)
        return self._part(Kind.ASK, corr=answer.number, dst=to, type=name, body=body, **fields)

    def _address(self, actor: str) -> str:
        return f"jobd://{self.welcome.value}{actor}"

    def _part(self, kind: Kind, **fields: Any) -> bytes:
        return _ENCODER.encode(Envelope(VERSION, int(kind), incarnation=_INCARNATION, **fields))

    # -- from the node

    def receive(self, frames: list[bytes]) -> None:
        """Take a message. Raises what ends the session: a refusal, a good-bye, BadFrame."""
        if len(frames) < 2:
            raise BadFrame("a message without an envelope")
        blobs = tuple(frames[2:])
        for envelope in decode_frame(frames[1]):
            self._on(envelope, blobs)

    def _on(self, envelope: Envelope, blobs: tuple[bytes, ...]) -> None:
        kind = envelope.kind
        if kind == Kind.HELLO:
            self.welcome.settle(decode_hello(envelope.body).node, None)
        elif kind == Kind.ERROR and envelope.corr == 0:
            raise self._ended_by(decode_error(envelope.body))
        elif kind == Kind.GONE and not envelope.dst:
            raise ActorUnavailable("the node has said good-bye", maybe_executed=True)
        elif kind == Kind.TELL and envelope.type == Terminated.__name__:
            ended = _VOCABULARY.decode(envelope.type, envelope.body)
            answer = self._watched.pop(ended.address, None)
            if answer is not None:
                answer.settle(ended.reason, None)
        elif kind in (Kind.REPLY, Kind.ERROR):
            self._on_end(envelope, blobs)
        elif kind == Kind.ITEM:
            reading = self._asked.get(envelope.corr)
            if isinstance(reading, Reading):  # else it is one that was cancelled
                item = _VOCABULARY.decode(envelope.type, envelope.body, blobs)
                size = len(memoryview(envelope.body)) + sum(map(len, blobs))
                reading.came(envelope.items, item, size)
                self._settled(envelope.corr, reading)

    def _ended_by(self, error: JobdError) -> JobdError:
        """Return what ended the link: a refusal, or that the node has given it up meanwhile."""
        if not self.welcome.done or isinstance(error, Unauthenticated | Forbidden):
            return error
        return ActorUnavailable(f"the node ended the link: {error.message}", maybe_executed=True)

    def _on_end(self, envelope: Envelope, blobs: tuple[bytes, ...]) -> None:
        answer = self._asked.get(envelope.corr)
        if answer is None:
            return
        value, error = None, None
        if envelope.kind == Kind.ERROR:
            error = decode_error(envelope.body)
        else:
            value = _VOCABULARY.decode(envelope.type, envelope.body, blobs)
        if isinstance(answer, Reading):
            answer.ends(envelope.items, value, error)
        else:
            answer.settle(value, error)
        self._settled(envelope.corr, answer)

    def _settled(self, number: int, answer: Answer) -> None:
        if answer.done:
            self._asked.pop(number, None)

    def fail(self, error: JobdError) -> None:
        """Settle all that waits: the link is lost."""
        asked, self._asked = self._asked, {}
        watched, self._watched = self._watched, {}
        for answer in (self.welcome, *asked.values(), *watched.values()):
            if not answer.done:
                answer.settle(None, error)
