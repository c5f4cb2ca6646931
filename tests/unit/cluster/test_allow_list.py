"""The keys of a node's links: their files, and whom they let in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from actors.core.view import Entry
from actors.errors import ConfigError, Conflict, InvalidInput, NotFound
from actors.model.client_key import ClientKey
from actors.model.epoch import Epoch, Member
from actors.model.join_token import JoinToken
from actors.model.node import NodeRecord
from actors.runtime.curve import new_curve
from actors.runtime.key_file import make_key_file, read_key_file
from jobd.keys_command import keys
from jobd.node.allow_list import AllowList
from jobd.node.link_keys import AllowedKey, LinkKeys

A, B, C, D, E, F = (bytes([n]) * 32 for n in range(1, 7))


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def now_ms(self) -> int:
        return int(self.now * 1_000)

    def monotonic_s(self) -> float:
        return self.now


class Rows:
    """A view of some keys."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self.rows = rows

    def scan(self, prefix: str, after: str = "") -> Iterator[tuple[str, Entry]]:
        for key in sorted(self.rows):
            if key.startswith(prefix):
                yield key, Entry(1, self.rows[key])


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "own"
    assert read_key_file(file) is None
    made = make_key_file(file)
    assert read_key_file(file) == made
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict, match="already"):
        make_key_file(file)
    assert read_key_file(file) == made
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="others"):
        read_key_file(file)


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "é" * 64, "1" * 63, "1" * 65])
def test_what_is_no_key_is_not_taken_for_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "own"
    file.touch(0o600)
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="no secret key"):
        read_key_file(file)


def test_a_list_is_kept_and_read_again_when_it_changes(tmp_path: Path) -> None:
    files, others = LinkKeys(tmp_path), LinkKeys(tmp_path)
    assert files.allowed() == ()
    files.allow("node", "n2", A)
    files.allow("client", "ci", B)
    assert others.allowed() == (AllowedKey("node", "n2", A), AllowedKey("client", "ci", B))
    assert others.allowed() is others.allowed()  # it is not read for nothing
    for role, name, key in (("node", "n2", C), ("node", "n3", A)):
        with pytest.raises(Conflict):
            files.allow(role, name, key)
    for role, name in (("admin", "x"), ("node", "a b"), ("node", "#x"), ("node", "")):
        with pytest.raises(InvalidInput):
            files.allow(role, name, C)
    files.remove("n2")
    with pytest.raises(NotFound):
        files.remove("n2")
    assert others.allowed() == (AllowedKey("client", "ci", B),)
    assert (tmp_path / "keys" / "allowed").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", ["node n2", f"admin n2 {A.hex()}", "node n2 abc", "x y z w"])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    files = LinkKeys(tmp_path)
    files.allow("node", "n1", A)
    (tmp_path / "keys" / "allowed").write_text(f"# a comment\n\n{line}\n")
    with pytest.raises(ConfigError, match=r"allowed:3: "):
        files.allowed()


def test_who_is_on_a_list_is_let_in_in_that_role(tmp_path: Path) -> None:
    files, clock = LinkKeys(tmp_path), Clock()
    own = files.make()
    local = files.local()
    assert local is not None
    files.allow("client", "ci", B)
    rows = Rows(
        {
            "node/n3": NodeRecord("n3", key=C),
            "node/n4": NodeRecord("n4"),
            "clientkey/laptop": ClientKey(F, 0),
            "jointoken/t": JoinToken(b"", 0, clock.now_ms() + 10_000, D),
            "jointoken/u": JoinToken(b"", 0, clock.now_ms() + 10_000),
        }
    )
    epoch = Epoch(1, "c", (Member("n5", "", E), Member("n6", "", b"")), 1)
    allow = AllowList(files, clock, [A], rows, lambda: epoch)  # type: ignore[arg-type]
    roles = [allow.role_of(key) for key in (own.public, local.public, A, B, C, D, E)]
    assert roles == ["node", "client", "node", "client", "node", "joiner", "node"]
    assert allow.role_of(F) == "client"
    assert allow.role_of(b"") == ""
    assert allow.role_of(new_curve().public) == ""
    clock.now += 11  # the token has run out
    assert allow.role_of(D) == ""
    files.remove("ci")
    del rows.rows["node/n3"]
    clock.now += 1
    assert [allow.role_of(key) for key in (B, C)] == ["", ""]
    rows.rows["node/n7"] = NodeRecord("n7", key=C)
    assert allow.role_of(C) == "node"  # who is new is found at once


def test_a_list_that_cannot_be_read_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, clock = LinkKeys(tmp_path), Clock()
    files.make()
    files.allow("client", "ci", B)
    allow = AllowList(files, clock, [A])
    assert allow.role_of(B) == "client"
    time.sleep(0.01)
    (tmp_path / "keys" / "allowed").write_text("nonsense\n")
    clock.now += 1
    for _ in range(3):
        assert allow.role_of(B) == ""
    assert allow.role_of(A) == "node"
    assert len(caplog.records) == 1


def test_the_command_says_what_it_does(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path)]

    def run(*args: str) -> tuple[int, str]:
        done = CliRunner().invoke(keys, [*args, *data])
        return done.exit_code, done.output

    assert run("show")[0] == 78
    code, own = run("new")
    assert (code, len(own.strip())) == (0, 64)
    assert run("show") == (0, own)
    assert run("new")[0] == 78
    assert run("allow", "node", "n2", A.hex()) == (0, "")
    assert run("list") == (0, f"node    n2  {A.hex()}\n")
    assert run("allow", "node", "n3", "abc")[0] == 78
    assert run("remove", "n2") == (0, "")
    assert run("remove", "n2")[0] == 78
    file = tmp_path / "client"
    made = CliRunner().invoke(keys, ["new", "--client", str(file)])
    assert made.exit_code == 0
    shown = CliRunner().invoke(keys, ["show", "--client", str(file)])
    assert shown.output == made.output
