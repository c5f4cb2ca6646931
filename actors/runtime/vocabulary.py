"""The vocabulary of a link: which messages can be sent and received, and by whom.

A type that is not in it is neither encoded nor decoded. What another process may send that is not
trusted (a client, and whoever it relays for) must be exposed besides, with a scope.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

from actors import limits
from actors.errors import TooLarge
from actors.runtime.envelope import BadFrame
from actors.runtime.invoke import Invoke
from actors.runtime.signals import Inspect, Ping, Terminated
from actors.runtime.values import Blob, decode_value, encode_value

__all__ = ["Body", "Vocabulary"]

_ENCODER: Final = msgspec.msgpack.Encoder()
# The type's name ("" for a plain value), its msgpack, its large bytes.
Body: TypeAlias = tuple[str, msgspec.Raw, tuple[Blob, ...]]

_INVOKE: Final = Invoke.__name__


class Vocabulary:
    """The message types that two processes speak, by name; the runtime's own are among them."""

    def __init__(self, types: Iterable[type[msgspec.Struct]]) -> None:
        self._decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {}
        self._scopes: dict[str, str] = {}
        own: tuple[type[msgspec.Struct], ...] = (Inspect, Invoke, Ping, Terminated)
        for each in (*types, *own):
            if each.__name__ in self._decoders:
                raise ValueError(f"two message types are named {each.__name__}")
            self._decoders[each.__name__] = msgspec.msgpack.Decoder(each)
        self.expose(Inspect, "read")
        self.expose(Ping, "read")

    def expose(self, kind: type[msgspec.Struct], scope: str) -> None:
        """Let processes send a type whose principal has a scope; "" is any that was admitted.

        Raises ValueError for a type that is not in the vocabulary.
        """
        if kind.__name__ not in self._decoders:
            raise ValueError(f"{kind.__name__} is not in the vocabulary")
        self._scopes[kind.__name__] = scope

    def scope_of(self, name: str) -> str | None:
        """Return the scope that a type asks for; None for one that is not exposed."""
        return self._scopes.get(name)

    def encode(self, value: Any) -> Body:
        """Return what goes over the wire. Raises TypeError, TooLarge."""
        if value.__class__ is Invoke:
            call = [value.method, value.args, value.kwargs, value.call]
            body, blobs = encode_value(call, (*value.args, *value.kwargs.values()))
            return _INVOKE, msgspec.Raw(body), blobs
        if not isinstance(value, msgspec.Struct):
            body, blobs = encode_value(value)
            return "", msgspec.Raw(body), blobs
        name = type(value).__name__
        if name not in self._decoders:
            raise TypeError(f"{name} is not a message between processes")
        try:
            body = _ENCODER.encode(value)
        except (ValueError, OverflowError) as error:  # as of a text that is no Unicode
            raise TypeError(f"it can't be sent: {error}") from None
        if len(body) > limits.ENVELOPE_BYTES // 2:
            raise TooLarge(f"a message of {len(body)} bytes, over {limits.ENVELOPE_BYTES // 2}")
        return name, msgspec.Raw(body), ()

    def decode(self, name: str, body: msgspec.Raw, blobs: tuple[Blob, ...] = ()) -> Any:
        """Return the message. Raises BadFrame for an unknown type or a body that is none."""
        try:
            if not name:
                return decode_value(memoryview(body), blobs)
            if name == _INVOKE:
                return _invoke(*decode_value(memoryview(body), blobs))
            decoder = self._decoders.get(name)
            if decoder is not None:
                return decoder.decode(body)
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
            raise BadFrame(f"not a {name[:64] or 'value'}: {error}") from None
        raise BadFrame(f"no message type {name[:64]!r}")


def _invoke(method: Any, args: Any, kwargs: Any, call: Any = 0, *later: Any) -> Invoke:
    if not (isinstance(method, str) and isinstance(args, list) and isinstance(kwargs, dict)):
        raise ValueError("method, args and kwargs are a text, a list and a dict")
    if not isinstance(call, int):
        raise ValueError("the number of a call is a whole number")
    if not all(isinstance(key, str) for key in kwargs):
        raise ValueError("a keyword is a text")
    return Invoke(method, tuple(args), kwargs, call)
