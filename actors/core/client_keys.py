"""Clients that all nodes let in by their keys: what puts one, and what takes one away."""

from __future__ import annotations

from actors import limits
from actors.core.store.txn import Txn, absent, at
from actors.core.view import View
from actors.errors import Busy, Conflict, NotFound
from actors.model import keys
from actors.model.client_key import ClientKey
from actors.model.codec import encode

__all__ = ["delete", "put"]


def put(view: View, name: str, key: bytes, *, now_ms: int) -> Txn | None:
    """Return what lets a client in, None when it is let in so already. Raises Busy, Conflict."""
    place = keys.client_key(name)
    entry = view.get(place)
    if entry is not None and entry.noun.key == key:
        return None
    for other, found in view.scan(keys.client_key("")):
        if found.noun.key == key:
            raise Conflict(f"the client {keys.last(other)} has that key")
    if entry is None and view.count("clientkey") >= limits.CLIENT_KEYS:
        raise Busy(f"there are {limits.CLIENT_KEYS} client keys", remedy="delete some of them")
    check = absent(place) if entry is None else at(place, entry.revision)
    return Txn((check,), ((place, encode(ClientKey(key, now_ms))),), now_ms=now_ms)


def delete(view: View, name: str, *, now_ms: int) -> Txn:
    """Return what lets a client in no more. Raises NotFound."""
    place = keys.client_key(name)
    entry = view.get(place)
    if entry is None:
        raise NotFound(f"there is no client key {name}")
    return Txn((at(place, entry.revision),), ((place, None),), now_ms=now_ms)
