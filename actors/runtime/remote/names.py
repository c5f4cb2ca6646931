"""Names: which actor has a name, in this process and, when it is connected, at the node.

A name belongs to a namespace. Locally a name is taken before the node is asked and given back when
it refuses, so two threads can't both make the actor of a name.
"""

from __future__ import annotations

import threading
from typing import Protocol

from actors.errors import Conflict, NotFound
from actors.runtime.remote.blueprint import Blueprint
from actors.runtime.remote.handle import ActorHandle, Caller
from actors.runtime.remote.ref import refuse_on_the_loop

__all__ = ["Key", "NameService", "Names"]

Key = tuple[str, str]  # namespace, name


class NameService(Protocol):
    """The names of all processes: the node's directory. May block; not for the loop's thread."""

    def register(self, key: Key, handle: ActorHandle, *, get_if_exists: bool) -> str:
        """Take a name and return the address that has it. Raises Conflict."""

    def resolve(self, key: Key) -> ActorHandle:
        """Return the actor that has a name. Raises NotFound."""

    def unregister(self, key: Key) -> None:
        """Give a name back; doesn't wait."""


class Home(Caller, Protocol):
    """The process, as its names need it."""

    def new_address(self) -> str:
        """Return an address of this process that no actor has had."""

    def start(self, plan: Blueprint, address: str, *, begins: bool = True) -> None:
        """Have an actor start; else it takes calls in, and waits for `begin`."""

    def begin(self, address: str) -> None:
        """Have an actor begin that was started without."""

    def stop(self, address: str) -> None:
        """End an actor."""


class Names:
    """The named actors of one process."""

    def __init__(self, home: Home) -> None:
        self.service: NameService | None = None
        self._home = home
        self._own: dict[Key, ActorHandle] = {}
        self._lock = threading.Lock()

    def make(self, plan: Blueprint) -> ActorHandle:
        """Start an actor under its name, or return the one that has it if that will do."""
        options = plan.options
        key = (options.namespace, options.name)
        handle = ActorHandle(self._home, self._home.new_address(), plan.cls.__name__, plan.methods)
        with self._lock:
            known = self._own.setdefault(key, handle)
        if known is not handle:
            if options.get_if_exists:
                return known
            raise Conflict(f"an actor of this process is named {options.name!r} already")
        service = self.service
        if service is None:
            self._home.start(plan, handle._address)
            return handle
        return self._make_known(plan, key, handle, service)

    def _make_known(
        self, plan: Blueprint, key: Key, handle: ActorHandle, service: NameService
    ) -> ActorHandle:
        """Start an actor once the node has given it its name: nothing is constructed in vain."""
        address = handle._address
        try:
            refuse_on_the_loop("making an actor with a name")
            # The directory watches whom it registers, so its place must be taken before.
            self._home.start(plan, address, begins=False)
            holder = service.register(key, handle, get_if_exists=plan.options.get_if_exists)
        except BaseException:
            del self._own[key]
            self._home.stop(address)
            raise
        if holder != address:
            del self._own[key]
            self._home.stop(address)
            return service.resolve(key)
        self._home.begin(address)
        return handle

    def find(self, key: Key) -> ActorHandle:
        """Return the actor that has a name. Raises NotFound."""
        known = self._own.get(key)
        if known is not None:
            return known
        if self.service is not None:
            return self.service.resolve(key)
        raise NotFound(
            f"no actor of this process is named {key[1]!r}",
            remedy="actors.connect(address) finds those of other processes.",
        )

    def own(self) -> dict[Key, ActorHandle]:
        """Return the named actors of this process."""
        return dict(self._own)

    def forget(self, address: str) -> None:
        """Give back the name of an actor that has ended."""
        for key, handle in list(self._own.items()):
            if handle._address == address:
                del self._own[key]
                if self.service is not None:
                    self.service.unregister(key)
