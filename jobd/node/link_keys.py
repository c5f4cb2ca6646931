"""The keys of a node's links, as files of its data directory.

keys/node.curve    the node's secret key; with it there, the cluster port asks everyone for a key
keys/local.curve   the secret key of clients on this machine that can read the directory
keys/allowed       whom the node lets in: a line for each, `node|client NAME KEY`

Keys are 64 hexadecimal digits, secret ones in files of mode 0600. A running node takes changes of
`allowed` within a second. A client elsewhere has a file of its own, of the same form.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

from actors.errors import ConfigError, Conflict, InvalidInput, NotFound
from actors.model.ids import NAME_RE
from actors.runtime.curve import Curve, key_of_text
from actors.runtime.key_file import make_key_file, read_key_file
from jobd.node.data_directory import write_atomically

__all__ = ["AllowedKey", "LinkKeys", "Role"]

Role = Literal["node", "client"]
_ROLES: Final = ("node", "client")
_COMMENT: Final = "# role name key: `jobd keys allow` and `jobd keys remove` change this file\n"
_LINE: Final = re.compile(r"(?P<role>\S+)\s+(?P<name>\S+)\s+(?P<key>\S+)")


class AllowedKey(NamedTuple):
    """One line of the list."""

    role: Role
    name: str
    key: bytes


class LinkKeys:
    """The keys in a data directory, which may be a running node's."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "keys"
        self._file = self._folder / "allowed"
        self._read: tuple[tuple[int, int, int], tuple[AllowedKey, ...]] | None = None

    def own(self) -> Curve | None:
        """Return the node's pair, None for a node without. Raises ConfigError."""
        return read_key_file(self._folder / "node.curve")

    def local(self) -> Curve | None:
        """Return the pair of this machine's clients. Raises ConfigError."""
        return read_key_file(self._folder / "local.curve")

    def make(self) -> Curve:
        """Make the node's pair, and that of this machine's clients. Raises Conflict."""
        if self.local() is None:  # first, so that a node with keys has it
            make_key_file(self._folder / "local.curve")
        return make_key_file(self._folder / "node.curve")

    def allowed(self) -> tuple[AllowedKey, ...]:
        """Return the list; it is read again only when it was changed. Raises ConfigError."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return ()
        mark = (status.st_ino, status.st_size, status.st_mtime_ns)
        if self._read is None or self._read[0] != mark:
            self._read = (mark, _parsed(self._file))
        return self._read[1]

    def allow(self, role: str, name: str, key: bytes) -> None:
        """Add a key. Raises InvalidInput, and Conflict for a name or a key that is there."""
        if role not in _ROLES or not NAME_RE.fullmatch(name):
            raise InvalidInput(f"{role} {name} is no role with a name", remedy="node n2, client ci")
        known = self.allowed()
        for each in known:
            if each.name == name or each.key == key:
                raise Conflict(
                    f"{each.role} {each.name} is on the list already",
                    remedy=f"`jobd keys remove {each.name}` takes it off",
                )
        self._write((*known, AllowedKey(cast(Role, role), name, key)))

    def remove(self, name: str) -> None:
        """Take a name off the list. Raises NotFound."""
        known = self.allowed()
        left = tuple(each for each in known if each.name != name)
        if left == known:
            raise NotFound(f"no key of {name} is on the list", remedy="`jobd keys list` shows it")
        self._write(left)

    def _write(self, allowed: tuple[AllowedKey, ...]) -> None:
        lines = [f"{each.role} {each.name} {each.key.hex()}\n" for each in allowed]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._file, "".join((_COMMENT, *lines)).encode(), sync=True)


def _parsed(path: Path) -> tuple[AllowedKey, ...]:
    """Return the lines of a list. Raises ConfigError for one that is none: no key is guessed."""
    found = []
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}", remedy="mend it") from None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.partition("#")[0].strip()
        if not stripped:
            continue
        parts = _LINE.fullmatch(stripped)
        try:
            if parts is None or parts["role"] not in _ROLES:
                raise InvalidInput("it is not `node|client NAME KEY`")
            found.append(
                AllowedKey(cast(Role, parts["role"]), parts["name"], key_of_text(parts["key"]))
            )
        except InvalidInput as error:
            raise ConfigError(f"{path}:{number}: {error}", remedy="mend the line") from None
    return tuple(found)
