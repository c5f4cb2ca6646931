"""Beginning anew: the leap, its ceiling, and who is lost (rules B1 to B5 of core/restore.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.backends.seal_box import KEY_FILE, KeyFileBox
from actors.core.restore import CEILING, LEAP, leaped, starting_txns
from actors.core.sealing import Vault, rewrapped
from actors.core.store.state import State
from actors.core.store.txn import Committed, Conflict, Txn, absent, at
from actors.errors import Conflict as ConflictError
from actors.model import keys
from actors.model.codec import encode
from actors.model.session import Session


def test_the_leap_stays_below_what_json_holds() -> None:
    assert leaped(7) == 7 + LEAP
    highest = CEILING - 2 * LEAP
    assert leaped(highest) + LEAP <= CEILING, "a cluster's life of revisions is left"
    with pytest.raises(ConflictError, match="can't leap"):
        leaped(highest + 1)


def restored_state() -> State:
    rows = [
        (keys.session("a"), 3, encode(Session("up", 4, 100, "a"))),
        (keys.session("b"), 5, encode(Session("left", 1, 100, "b"))),
        ("attempt/j/00000/0001", 6, b"x"),
        ("kv/n/k", 7, b"v"),
    ]
    state = State()
    state.restore(leaped(9), rows, b"")
    for txn in starting_txns(state, cluster="old", backup=9, made_ms=500, now_ms=900, sealing=()):
        assert isinstance(state.apply(txn), Committed)
    return state


def test_who_was_up_is_lost_as_of_the_backup() -> None:
    state = restored_state()
    a, b = state.get(keys.session("a")), state.get(keys.session("b"))
    assert a is not None and b is not None
    assert (a.noun.state, a.noun.since_ms, a.noun.incarnation) == ("lost", 500, 4)
    assert (b.noun.state, b.revision) == ("left", 5)
    events = state.take_events()
    assert [event.type for event in events] == ["jobd:node:lost", "jobd:cluster:restored"]
    assert events[0].revision == 9 + LEAP + 1
    assert events[1].data == {"cluster": "old", "revision": 9}


def test_what_the_old_cluster_issued_later_holds_nothing_here() -> None:
    """A fence or an ETag from behind the backup is neither current nor ever will be."""
    state = restored_state()
    for revision in (10, 11, LEAP):
        refused = state.apply(Txn((at("kv/n/k", revision),), (("kv/n/k", None),)))
        assert isinstance(refused, Conflict)
    new = state.apply(Txn((absent("kv/n/l"),), (("kv/n/l", b"v"),)))
    assert isinstance(new, Committed)
    assert new.revision > 9 + LEAP
    assert isinstance(state.apply(Txn((at("kv/n/k", 7),), (("kv/n/k", b"w"),))), Committed)


@pytest.mark.parametrize("lost", [False, True])
def test_secrets_open_under_the_nodes_new_id(tmp_path: Path, lost: bool) -> None:
    state = State()
    old = Vault(state, "old", lambda: KeyFileBox(tmp_path))
    sealed = old.seal("db", b"swordfish", 100)
    state.apply(Txn(sealed.checks, sealed.ops))
    if lost:  # the old node had lost its key already: the state comes back as it was
        (tmp_path / KEY_FILE).unlink()
    ops = rewrapped(state, KeyFileBox(tmp_path), "old", "new")
    if lost:
        assert ops == ()
        return
    assert isinstance(state.apply(Txn((), ops)), Committed)
    assert state.count("sealkey") == 1
    assert Vault(state, "new", lambda: KeyFileBox(tmp_path)).open("db") == "swordfish"
