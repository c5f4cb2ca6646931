"""Messages of the node's directory: which actor of which process has a name.

The directory itself is an actor of the node (actors/directory.py); who asks it is in the runtime.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = [
    "DIRECTORY_TYPES",
    "Entry",
    "ListActors",
    "Listing",
    "Register",
    "Resolve",
    "Unregister",
]


class Entry(msgspec.Struct, frozen=True):
    """A named actor."""

    name: str
    namespace: str
    address: str
    class_name: str
    methods: tuple[str, ...]


class Register(msgspec.Struct, frozen=True):
    """Take a name for an actor of the sender's process. Answered with the `Entry` that has it.

    A name that is taken is a Conflict, unless `get_if_exists`: then its present entry is answered.
    """

    name: str
    namespace: str
    address: str
    class_name: str
    methods: tuple[str, ...] = ()
    get_if_exists: bool = False


class Resolve(msgspec.Struct, frozen=True):
    """Answered with the `Entry` of a name, or NotFound."""

    name: str
    namespace: str = "default"


class Unregister(msgspec.Struct, frozen=True):
    """Give a name of the sender's process back; one that it doesn't have is left alone."""

    name: str
    namespace: str = "default"


class ListActors(msgspec.Struct, frozen=True):
    """Answered with a `Listing` of names that begin so, in all namespaces or in one."""

    prefix: str = ""
    namespace: str | None = None
    limit: int = 500


class Listing(msgspec.Struct, frozen=True):
    """Entries in the order of (namespace, name), and whether there are more."""

    entries: tuple[Entry, ...]
    has_more: bool = False


DIRECTORY_TYPES: Final = (Entry, ListActors, Listing, Register, Resolve, Unregister)
