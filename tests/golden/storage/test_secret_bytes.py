"""The bytes of a sealed secret and of a wrap, as an earlier release left them, still open."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.backends.seal_box import KEY_FILE, KeyFileBox
from actors.core.sealing import Vault
from actors.core.store.state import State
from actors.core.store.txn import Txn
from actors.model import keys
from actors.model.codec import decode, encode

GOLDEN = Path(__file__).with_name("secret_bytes.txt")


def test_what_was_sealed_opens(tmp_path: Path) -> None:
    found = dict(line.split(" ", 1) for line in GOLDEN.read_text().splitlines())
    (tmp_path / KEY_FILE).write_text(found["key"] + "\n")
    state = State()
    for key in (keys.secret("db"), keys.seal_key(1, "n0")):
        value = bytes.fromhex(found[key])
        assert encode(decode(keys.kind(key), value)) == value
        state.apply(Txn((), ((key, value),)))
    vault = Vault(state, "n0", lambda: KeyFileBox(tmp_path))
    assert vault.open("db") == "correct horse"


@pytest.mark.parametrize("key", ["secret/db", "sealkey/00001/n0"])
def test_the_keys_are_named_so(key: str) -> None:
    assert key in {keys.secret("db"), keys.seal_key(1, "n0")}
