"""`~/.config/jobd/config.toml`: the contexts, which are places of clusters with a token for each.

    current = "prod"

    [contexts.prod]
    urls = ["https://n1.example:8080", "https://n2.example:8080"]
    token = "jobd_..."

Tokens are in it, so it is written 0600, whole or not at all. The name `local` is no context: it
stands for what is found on this machine.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from jobd.cli.failure import NOT_FOUND, USAGE, Failure

__all__ = ["LOCAL", "ConfigFile", "Context"]

LOCAL: Final = "local"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class Context(NamedTuple):
    """Where a cluster is: the URLs of its nodes, any of which will do, and a token for them."""

    name: str
    urls: tuple[str, ...]
    token: str | None


class ConfigFile:
    """The contexts of this user; a file that is not there has none."""

    def __init__(self, path: Path, current: str, contexts: dict[str, Context]) -> None:
        self.path = path
        self.current = current
        self.contexts = contexts

    @classmethod
    def read(cls, env: Mapping[str, str]) -> ConfigFile:
        """Read it from where XDG puts it. Raises Failure for one that makes no sense."""
        home = env.get("XDG_CONFIG_HOME") or f"{env.get('HOME', '~')}/.config"
        path = Path(home) / "jobd" / "config.toml"
        try:
            text = path.read_text()
        except FileNotFoundError:
            return cls(path, LOCAL, {})
        except (OSError, UnicodeDecodeError) as e:
            raise _unusable(path, str(e)) from None
        import tomllib

        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as e:
            raise _unusable(path, str(e)) from None
        if unknown := found.keys() - {"current", "contexts"}:
            raise _unusable(path, f"unknown key {min(unknown)!r}")
        sections = found.get("contexts", {})
        if not isinstance(sections, dict):
            raise _unusable(path, "contexts is no table")
        contexts = {name: _context(path, name, section) for name, section in sections.items()}
        current = found.get("current", LOCAL)
        if current != LOCAL and current not in contexts:
            raise _unusable(path, f"current is {current!r}, and there is no such context")
        return cls(path, current, contexts)

    def context(self, name: str) -> Context:
        """Return a context. Raises Failure when there is none of this name."""
        if name not in self.contexts:
            raise Failure(
                f"there is no context {name!r}",
                remedy="`jobctl context list` shows what there is.",
                exit_code=NOT_FOUND,
            )
        return self.contexts[name]

    def add(self, context: Context) -> None:
        """Add a context, or replace the one of its name. Raises Failure for an impossible name."""
        if context.name == LOCAL or not _NAME.fullmatch(context.name):
            raise Failure(
                f"{context.name!r} can't be a context's name",
                remedy=f"Take letters, digits, - and _; {LOCAL} is what is found on this machine.",
                exit_code=USAGE,
            )
        self.contexts[context.name] = context

    def write(self) -> None:
        """Replace the file."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(f".config.toml.{os.getpid()}")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
            file.write(self._text())
        new.replace(self.path)

    def _text(self) -> str:
        # A JSON string of these is a TOML string too.
        lines = ["# Written by `jobctl context`.", f"current = {_quoted(self.current)}"]
        for context in self.contexts.values():
            lines += ["", f"[contexts.{context.name}]"]
            lines.append(f"urls = [{', '.join(map(_quoted, context.urls))}]")
            if context.token:
                lines.append(f"token = {_quoted(context.token)}")
        return "\n".join(lines) + "\n"


def _context(path: Path, name: str, section: Any) -> Context:
    urls = section.get("urls") if isinstance(section, dict) else None
    token = section.get("token") if isinstance(section, dict) else None
    right = isinstance(urls, list) and urls and all(isinstance(url, str) for url in urls)
    if not right or not isinstance(token, str | None):
        raise _unusable(path, f"context {name!r} needs urls, a list of text, and may have a token")
    return Context(name, tuple(urls or ()), token)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _unusable(path: Path, why: str) -> Failure:
    return Failure(f"{path}: {why}", remedy="Mend or remove the file.", exit_code=USAGE)
