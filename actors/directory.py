"""The directory: the names of user actors, and where they are.

Rules:

D1  A name is one actor's. It is free again when the actor has ended, or its process is lost.
D2  A process registers only its own actors, and takes back only its own names.
D3  It is bounded: NAMES in all, NAMES_PER_PROCESS each. It is kept in memory: processes register
    again when a node comes back.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice, takewhile
from typing import Final

from sortedcontainers import SortedDict

from actors import limits
from actors.errors import Busy, Conflict, Forbidden, InvalidInput, JobdError, NotFound
from actors.model.ids import NAME_RE
from actors.runtime import Context, Effects, Fail, LoopActor, Reply, Terminated, Watch, handles
from actors.runtime.address import node_of
from actors.runtime.registry import Entry, ListActors, Listing, Register, Resolve, Unregister
from actors.runtime.vocabulary import Vocabulary

__all__ = ["Directory", "expose_directory"]

_TEXT_CHARS: Final = 256  # of a class or a method; also how many methods
_ENTRY_CHARS: Final = 8_192  # of all of them
_LISTING_CHARS: Final = 512 * 1024  # a listing ends early, so that it can be sent
_ADDRESS_CHARS: Final = 512


def expose_directory(vocabulary: Vocabulary) -> None:
    """Open the directory to clients: who has `run` registers, who has `read` looks."""
    for kind, scope in (
        (Register, "run"),
        (Unregister, "run"),
        (Resolve, "read"),
        (ListActors, "read"),
    ):
        vocabulary.expose(kind, scope)


class Directory(LoopActor):
    """Named actors by (namespace, name)."""

    def __init__(self) -> None:
        self._entries: SortedDict[tuple[str, str], Entry] = SortedDict()
        self._names: dict[str, set[tuple[str, str]]] = {}  # by address
        self._of_process: Counter[str] = Counter()

    @handles(Register)
    def register(self, message: Register, context: Context) -> Effects:
        """Enter a name, and watch its actor."""
        try:
            self._check(message, context)
        except JobdError as error:
            return [Fail(context.reply, error)]
        key = (message.namespace, message.name)
        known = self._entries.get(key)
        if known is not None:
            if known.address == message.address or message.get_if_exists:
                return [Reply(context.reply, known)]
            taken = Conflict(f"the name {message.name} is taken by {known.address}")
            return [Fail(context.reply, taken)]
        entry = self._entries[key] = Entry(
            message.name, message.namespace, message.address, message.class_name, message.methods
        )
        self._names.setdefault(entry.address, set()).add(key)
        self._of_process[node_of(entry.address)] += 1
        return [Watch(entry.address), Reply(context.reply, entry)]

    @handles(Resolve)
    def resolve(self, message: Resolve, context: Context) -> Effects:
        """Find an actor by its name."""
        entry = self._entries.get((message.namespace, message.name))
        if entry is not None:
            return [Reply(context.reply, entry)]
        missing = NotFound(f"no actor is named {message.name[:64]} in {message.namespace[:64]}")
        return [Fail(context.reply, missing)]

    @handles(Unregister)
    def unregister(self, message: Unregister, context: Context) -> Effects:
        """Free a name."""
        key = (message.namespace, message.name)
        entry = self._entries.get(key)
        if entry is not None and _is_of_sender(entry.address, context):
            self._forget(key)
        return [Reply(context.reply)]

    @handles(ListActors)
    def list_actors(self, message: ListActors, context: Context) -> Effects:
        """List names in order."""
        limit = max(0, min(message.limit, limits.LIST_ITEMS))
        namespace, prefix = message.namespace, message.prefix
        start = (namespace, prefix) if namespace is not None else ("", "")
        keys = self._entries.irange(start)
        if namespace is not None:
            keys = takewhile(lambda key: key[0] == namespace and key[1].startswith(prefix), keys)
        else:
            keys = (key for key in keys if key[1].startswith(prefix))
        found: list[Entry] = []
        room = _LISTING_CHARS
        for entry in map(self._entries.__getitem__, islice(keys, limit + 1)):
            if len(found) == limit or room < 0:
                return [Reply(context.reply, Listing(tuple(found), has_more=True))]
            found.append(entry)
            room -= _chars_of(entry)
        return [Reply(context.reply, Listing(tuple(found)))]

    @handles(Terminated)
    def ended(self, message: Terminated, context: Context) -> Effects:
        """Free the names of an actor that is no more."""
        for key in list(self._names.get(message.address, ())):
            self._forget(key)
        return None

    def _check(self, message: Register, context: Context) -> None:
        for what, name in (("name", message.name), ("namespace", message.namespace)):
            if not NAME_RE.fullmatch(name):
                raise InvalidInput(f"{name[:64]!r} is no {what}", remedy=f"use {NAME_RE.pattern}")
        texts = (message.class_name, *message.methods)
        if len(texts) > _TEXT_CHARS or any(len(text) > _TEXT_CHARS for text in texts):
            raise InvalidInput(f"more, or longer, names than {_TEXT_CHARS}")
        if _chars_of(message) > _ENTRY_CHARS:
            raise InvalidInput(f"names of over {_ENTRY_CHARS} characters in all")
        process = node_of(message.address)
        if not process or len(message.address) > _ADDRESS_CHARS:
            raise InvalidInput(f"{message.address[:64]!r} is no address")
        if not _is_of_sender(message.address, context):
            raise Forbidden("a process registers its own actors")
        if len(self._entries) >= limits.NAMES:
            raise Busy(f"{limits.NAMES} names")
        if self._of_process[process] >= limits.NAMES_PER_PROCESS:
            raise Busy(f"{limits.NAMES_PER_PROCESS} names of {process}")

    def _forget(self, key: tuple[str, str]) -> None:
        entry = self._entries.pop(key)
        names = self._names[entry.address]
        names.discard(key)
        if not names:
            del self._names[entry.address]
        process = node_of(entry.address)
        self._of_process[process] -= 1
        if not self._of_process[process]:
            del self._of_process[process]


def _chars_of(named: Entry | Register) -> int:
    return len(named.class_name) + sum(map(len, named.methods))


def _is_of_sender(address: str, context: Context) -> bool:
    """Say whether an address is in the sender's process; who is trusted speaks for any."""
    return context.principal is None or node_of(address) == node_of(context.sender or "")
