"""Secrets at rest: what opens where, and what is refused; a real store, real cryptography."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from actors import limits
from actors.backends.seal_box import KEY_FILE, KeyFileBox
from actors.core.sealing import Vault
from actors.core.store.state import State
from actors.core.store.txn import Committed, Conflict, Txn
from actors.errors import InvalidInput, JobdError, NotFound, SealingKeyLost, TooLarge
from actors.model import keys
from actors.model.codec import encode

VALUE = "correct horse battery staple"


class Node:
    """A store and the vault of one node over a data directory."""

    def __init__(self, data: Path, name: str = "n0", state: State | None = None) -> None:
        self.state = state or State()
        self.directory = data / "keys"
        self.name = name
        self.restart()

    def restart(self) -> None:
        self.vault = Vault(self.state, self.name, lambda: KeyFileBox(self.directory))

    def put(self, name: str, value: str = VALUE) -> None:
        sealed = self.vault.seal(name, value.encode(), 7)
        assert isinstance(self.state.apply(Txn(sealed.checks, sealed.ops)), Committed)

    def delete(self, name: str) -> None:
        self.state.apply(Txn((), ((keys.secret(name), None),)))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_secret_opens_and_only_its_ciphertext_is_stored(node: Node) -> None:
    node.put("db")
    assert node.vault.open("db") == VALUE
    stored = b"".join(encode(entry.noun) for _, entry in node.state.scan("s"))
    assert VALUE.encode() not in stored


def test_it_opens_after_a_restart(node: Node) -> None:
    node.put("db")
    node.restart()
    node.vault.prepare()
    node.vault.check()
    assert node.vault.open("db") == VALUE


def test_one_sealing_key_serves_all_secrets(node: Node) -> None:
    node.put("a", "first")
    node.put("b", "second")
    assert [key for key, _ in node.state.scan("sealkey/")] == ["sealkey/00001/n0"]
    assert (node.vault.open("a"), node.vault.open("b")) == ("first", "second")


def test_two_first_puts_at_once_make_one_sealing_key(node: Node) -> None:
    first, second = (node.vault.seal(name, b"value", 7) for name in ("a", "b"))
    assert isinstance(node.state.apply(Txn(first.checks, first.ops)), Committed)
    assert isinstance(node.state.apply(Txn(second.checks, second.ops)), Conflict)
    node.put("b")
    assert node.vault.open("a") == "value"


def test_the_key_file_is_its_owners_alone(node: Node) -> None:
    node.put("db")
    file = node.directory / KEY_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert node.directory.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in node.directory.iterdir()] == [KEY_FILE]


def test_ciphertext_under_another_name_does_not_open(node: Node) -> None:
    node.put("mine", "low")
    node.put("other", "high")
    entry = node.state.get(keys.secret("other"))
    assert entry is not None
    node.state.apply(Txn((), ((keys.secret("mine"), encode(entry.noun)),)))
    with pytest.raises(SealingKeyLost, match="does not open"):
        node.vault.open("mine")


@pytest.mark.parametrize("field", ["nonce", "ciphertext"])
@pytest.mark.parametrize("kind", ["secret/db", "sealkey/00001/n0"])
def test_a_flipped_bit_does_not_open(node: Node, kind: str, field: str) -> None:
    node.put("db")
    node.restart()
    entry = node.state.get(kind)
    assert entry is not None
    damaged = bytearray(getattr(entry.noun, field))
    damaged[-1] ^= 1
    noun = msgspec.structs.replace(entry.noun, **{field: bytes(damaged)})
    node.state.apply(Txn((), ((kind, encode(noun)),)))
    with pytest.raises(SealingKeyLost):
        node.vault.open("db")


def test_a_missing_key_is_refused_and_names_the_remedy(node: Node) -> None:
    node.put("db")
    (node.directory / KEY_FILE).unlink()
    node.restart()
    for use in (
        node.vault.check,
        lambda: node.vault.open("db"),
        lambda: node.vault.seal("new", b"x", 7),
    ):
        with pytest.raises(SealingKeyLost, match="missing") as raised:
            use()
        assert "restore" in raised.value.remedy
    assert not (node.directory / KEY_FILE).exists(), "a new key would hide that the old one is gone"


def test_another_nodes_key_is_refused(node: Node, tmp_path: Path) -> None:
    node.put("db")
    other = Node(tmp_path / "other")
    other.directory.parent.mkdir()
    other.put("db")
    (other.directory / KEY_FILE).rename(node.directory / KEY_FILE)
    node.restart()
    with pytest.raises(SealingKeyLost, match="not the one"):
        node.vault.open("db")


@pytest.mark.parametrize("text", ["", "xyz", "00" * 31])
def test_a_damaged_key_file_is_refused(node: Node, text: str) -> None:
    node.put("db")
    (node.directory / KEY_FILE).write_text(text)
    node.restart()
    with pytest.raises(SealingKeyLost, match="can't be used"):
        node.vault.open("db")


def test_without_secrets_a_lost_key_begins_a_new_generation(node: Node) -> None:
    node.put("db")
    (node.directory / KEY_FILE).unlink()
    node.restart()
    node.delete("db")
    node.put("db", "anew")
    assert node.vault.open("db") == "anew"
    assert [key for key, _ in node.state.scan("sealkey/")] == [
        "sealkey/00001/n0",
        "sealkey/00002/n0",
    ]


def test_a_node_without_a_wrap_of_its_own_can_open_nothing(node: Node, tmp_path: Path) -> None:
    node.put("db")
    stranger = Node(tmp_path / "stranger", "n1", node.state)
    with pytest.raises(SealingKeyLost, match="not wrapped"):
        stranger.vault.open("db")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"", InvalidInput),
        (b"a\0b", InvalidInput),
        (b"\xff\xfe", InvalidInput),
        (b"x" * (limits.SECRET_BYTES + 1), TooLarge),
    ],
)
def test_what_no_variable_can_hold_is_refused(
    node: Node, value: bytes, error: type[JobdError]
) -> None:
    with pytest.raises(error):
        node.vault.seal("db", value, 7)
    node.put("db", "x" * limits.SECRET_BYTES)


def test_an_unknown_secret_is_named(node: Node) -> None:
    with pytest.raises(NotFound, match="no secret db"):
        node.vault.open("db")
