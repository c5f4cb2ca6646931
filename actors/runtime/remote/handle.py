"""Handles: what one calls a user's actor through, wherever it lives.

ref = handle.add.remote(5)              # a Ref; the call is on its way
handle.add.options(timeout=2).remote(5) # the call fails with AskTimeout after 2 s
for line in handle.tail.remote(): ...   # a method that yields gives Results
"""

from __future__ import annotations

from typing import Any, Protocol

from actors.runtime.remote.method import Method, did_you_mean
from actors.runtime.remote.ref import Ref
from actors.runtime.remote.results import Results

__all__ = ["ActorHandle", "Caller", "RemoteMethod"]


class Caller(Protocol):
    """This process, as a handle needs it."""

    def call(
        self,
        address: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout_s: float | None,
    ) -> Ref[Any]:
        """Call a method of an actor anywhere; with a timeout the call itself ends then."""

    def stream(
        self, address: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Results[Any]:
        """Call a method that yields items."""


class ActorHandle:
    """The methods of one actor, as attributes. It stays good over restarts of the actor."""

    def __init__(
        self, caller: Caller, address: str, class_name: str, methods: dict[str, Method]
    ) -> None:
        self._caller = caller
        self._address = address
        self._class_name = class_name
        self._methods = methods

    def __getattr__(self, name: str) -> RemoteMethod:
        if name.startswith("_"):
            raise AttributeError(name)
        method = self._methods.get(name)
        if method is None:
            near = did_you_mean(name, self._methods)
            raise AttributeError(f"{self._class_name} has no method {name!r}{near}")
        found = self.__dict__[name] = RemoteMethod(self._caller, self._address, method)
        return found

    def __dir__(self) -> list[str]:
        return sorted(self._methods)

    def __repr__(self) -> str:
        return f"<{self._class_name} at {self._address}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorHandle) and other._address == self._address

    def __hash__(self) -> int:
        return hash(self._address)


class RemoteMethod:
    """One method of one actor."""

    __slots__ = ("_address", "_caller", "_method", "_timeout_s")

    def __init__(
        self, caller: Caller, address: str, method: Method, timeout_s: float | None = None
    ) -> None:
        self._caller = caller
        self._address = address
        self._method = method
        self._timeout_s = timeout_s

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; return the Ref of its answer, or the Results that it yields.

        Arguments for an actor of another process are plain values: None, booleans, numbers, texts,
        bytes, lists and dicts of them. A Ref among them is replaced by its value first.
        """
        method = self._method
        if method.streams:
            return self._stream(args, kwargs)
        return self._caller.call(self._address, method.name, args, kwargs, self._timeout_s)

    def options(self, *, timeout: float) -> RemoteMethod:
        """Return the method with a deadline for its calls, in seconds."""
        if self._method.streams:
            raise TypeError(f"{self._method.name} yields items: a stream has no timeout")
        return RemoteMethod(self._caller, self._address, self._method, timeout)

    def _stream(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Results[Any]:
        for value in (*args, *kwargs.values()):
            if isinstance(value, Ref):
                raise TypeError(f"{self._method.name} yields items: pass it values, no refs")
        return self._caller.stream(self._address, self._method.name, args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: it would run here."""
        raise TypeError(f"call {self._method.name}.remote(…): the actor runs it, not the caller")

    def __repr__(self) -> str:
        return f"<method {self._method.name} at {self._address}>"
