"""The connection of this process to a node, over which others reach its actors and it theirs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from actors import limits
from actors.errors import ActorUnavailable, AskTimeout, ConfigError, InvalidInput, JobdError
from actors.runtime.address import SCHEME, node_of
from actors.runtime.curve import key_of_text
from actors.runtime.host import LoopHost
from actors.runtime.invoke import Invoke
from actors.runtime.key_file import read_key_file
from actors.runtime.keys import Keys
from actors.runtime.letter import Letter
from actors.runtime.link import Link
from actors.runtime.registry import DIRECTORY_TYPES, Register, Resolve, Unregister
from actors.runtime.remote.door import DOOR, Door, Invitation, Invite, Visit
from actors.runtime.remote.handle import ActorHandle, Caller
from actors.runtime.remote.identity import Identity
from actors.runtime.remote.messages import CancelCall, Describe, Description, Kill
from actors.runtime.remote.names import Key
from actors.runtime.remote.ref import Ref
from actors.runtime.remote.registrar import REGISTRAR, RegisterAll, Registrar
from actors.runtime.vocabulary import Vocabulary

__all__ = ["Connection", "OnLoop"]

_ENDPOINT: Final = re.compile(
    r"ipc://.+|tcp://((?P<key>[0-9a-fA-F]{64})@)?(\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})"
)
_KEY: Final = re.compile(r"(?<=^tcp://)[0-9a-fA-F]{64}@")
_LAST_PORT: Final = 65_535
OnLoop = Callable[[Callable[[], object]], None]


def _vocabulary() -> Vocabulary:
    own = (CancelCall, Describe, Description, Invitation, Invite, Kill)
    vocabulary = Vocabulary([*own, *DIRECTORY_TYPES])
    vocabulary.expose(Invoke, "read")  # the blueprint knows what its methods need
    vocabulary.expose(CancelCall, "run")
    vocabulary.expose(Describe, "read")
    vocabulary.expose(Invite, "read")
    vocabulary.expose(Kill, "run")
    return vocabulary


def _keys(server: str, file: str) -> Keys:
    """Return the keys to connect with to a node that has that one. Raises ConfigError."""
    own = read_key_file(Path(file)) if file else None
    if own is None:
        raise ConfigError(
            f"the node wants a key of whoever connects, and {file or 'no file'} has one",
            remedy="`jobd keys new --client FILE` makes one, which JOBD_KEY_FILE names",
        )
    return Keys(own.to(key_of_text(server)))


class Connection:
    """A link of this process as a client; the `NameService` of its names. For any thread."""

    def __init__(
        self,
        host: LoopHost,
        on_loop: OnLoop,
        caller: Caller,
        identity: Identity,
        endpoint: str,
        key_file: str = "",
    ) -> None:
        where = _ENDPOINT.fullmatch(endpoint)
        if where is None or int(where["port"] or 0) > _LAST_PORT:
            raise InvalidInput(
                f"{endpoint[:80]!r} is no address of a node",
                remedy="It begins with tcp://, for example tcp://127.0.0.1:7800.",
            )
        self.endpoint = endpoint
        self._keys = _keys(where["key"], key_file) if where["key"] else None
        self._host = host
        self._on_loop = on_loop
        self._caller = caller
        self._identity = identity
        self._link: Link | None = None
        self._opening: asyncio.Task[None] | None = None
        self._directory = ""
        self._visited: set[str] = set()

    # -- opening and closing

    def open(self, token: str, timeout_s: float) -> None:
        """Say hello and wait. Raises ActorUnavailable, and why the node wants no such process."""
        opened: Ref[str] = Ref(self.endpoint, 0)
        self._on_loop(partial(self._open, token, opened))
        try:
            self._directory = f"{SCHEME}{opened.get(timeout=timeout_s)}/directory"
        except AskTimeout:
            none = f"no node answers at {self.endpoint} within {timeout_s:g} s"
            remedy = "`jobd start --cluster HOST:PORT` opens a node's port for actors."
            raise ActorUnavailable(none, maybe_executed=False, remedy=remedy) from None

    def keep(self, own: Callable[[], dict[Key, ActorHandle]]) -> None:
        """Register the names that this process has, now and after each loss. Raises Conflict."""
        for key, handle in own().items():
            self.register(key, handle, get_if_exists=False)
        registrar = partial(
            Registrar,
            self._directory,
            lambda: [_registration(key, handle, False) for key, handle in own().items()],
        )
        self._on_loop(partial(self._host.spawn, registrar, REGISTRAR))

    def close(self) -> None:
        """Say good-bye: who calls actors of this process is told at once."""
        self._on_loop(self._close)

    def _open(self, token: str, opened: Ref[str]) -> None:
        self._link = Link(
            self._host,
            _KEY.sub("", self.endpoint),
            node=self._identity.process,
            incarnation=next(self._identity.incarnations),
            vocabulary=_vocabulary(),
            token=token,
            key=self._identity.key,
            on_node=self._on_node,
            keys=self._keys,
        )
        door = partial(Door, self._host, self._identity, _vocabulary)
        self._host.spawn(door, DOOR)
        greeting = self._greet(self._link, opened)
        self._opening = asyncio.get_running_loop().create_task(greeting)

    async def _greet(self, link: Link, opened: Ref[str]) -> None:
        try:
            opened.set(await link.ready)
        except JobdError as error:
            opened.fail(error)

    def _on_node(self, node: str) -> None:
        if REGISTRAR in self._host.cells:  # at first the names are registered by `keep`
            self._host.tell(REGISTRAR, RegisterAll())

    def _close(self) -> None:
        for address in (REGISTRAR, DOOR):
            self._host.stop(address)
        if self._opening is not None:
            self._opening.cancel()
        if self._link is not None:
            link, self._link = self._link, None
            link.close()

    # -- names

    def register(self, key: Key, handle: ActorHandle, *, get_if_exists: bool) -> str:
        """Take a name and return the address that has it. Raises Conflict."""
        entry = self._ask(self._directory, _registration(key, handle, get_if_exists))
        return str(entry.address)

    def resolve(self, key: Key) -> ActorHandle:
        """Return the actor that has a name. Raises NotFound."""
        namespace, name = key
        entry = self._ask(self._directory, Resolve(name, namespace))
        known: Description = self._ask(entry.address, Describe())
        self._visit(node_of(entry.address))
        methods = {method.name: method for method in known.methods}
        return ActorHandle(self._caller, entry.address, known.class_name, methods)

    def _visit(self, process: str) -> None:
        """Have a direct link to a process, if that can be."""
        if process not in self._visited:
            self._visited.add(process)
            try:
                invitation = self._ask(f"{SCHEME}{process}{DOOR}", Invite())
            except JobdError:
                return  # it takes no guests
            self._ask(DOOR, Visit(process, invitation))

    def unregister(self, key: Key) -> None:
        """Give a name back; doesn't wait."""
        namespace, name = key
        self._on_loop(partial(self._host.tell, self._directory, Unregister(name, namespace)))

    def _ask(self, address: str, message: Any) -> Any:
        ref: Ref[Any] = Ref(address, 0)
        self._on_loop(partial(self._host.deliver, address, Letter(message, ref)))
        return ref.get(timeout=limits.ASK_TIMEOUT_S)


def _registration(key: Key, handle: ActorHandle, get_if_exists: bool) -> Register:
    namespace, name = key
    methods = tuple(sorted(handle._methods))
    return Register(name, namespace, handle._address, handle._class_name, methods, get_if_exists)
