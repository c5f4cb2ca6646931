"""A value that a newer node wrote: nobody here sees it, changes it, or takes its key."""

from __future__ import annotations

from actors.core.store.state import State
from actors.core.store.txn import Committed, Conflict, Txn, absent
from actors.model.codec import SCHEMA, encode, is_readable

NEWER = bytes([SCHEMA + 1]) + b"\x93\x01\x02\x03"


def test_it_is_left_alone() -> None:
    state = State()
    ops = (("job/a", encode(b"")), ("kv/x/a", encode(b"1")), ("kv/x/b", NEWER))
    state.apply(Txn((), (*ops, ("kv/x/c", encode(b"3")))))
    assert not is_readable(NEWER)
    assert state.get("kv/x/b") is None
    assert [key for key, _ in state.scan("kv/x/")] == ["kv/x/a", "kv/x/c"]
    assert [key for key, _ in state.newest("kv/x/")] == ["kv/x/c", "kv/x/a"]
    assert state.raw("kv/x/b") == (1, NEWER)
    taken = state.apply(Txn((absent("kv/x/b"),), (("kv/x/b", encode(b"mine")),)))
    assert taken == Conflict((("kv/x/b", 1),))
    deleted = state.apply(Txn((), (("kv/x/b", None),)))
    assert isinstance(deleted, Committed) and state.raw("kv/x/b") is None
