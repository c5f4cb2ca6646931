"""Tab at the prompt: names as everywhere, and the keys of `jobs[...]` and `actors[...]`."""

from __future__ import annotations

import re
import readline
import rlcompleter
from typing import Any, Final

from actors.errors import JobdError

__all__ = ["DELIMITERS", "Completer"]

# Python's own but for what stands in addresses and ids.
DELIMITERS: Final = " \t\n`~!@#$%^&*()=+[{]}\\|;:'\",<>?"
_KEY: Final = re.compile(r"(\w+)\[['\"]$")


class Completer(rlcompleter.Completer):
    """Completes with what the prompt's names are now."""

    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__(names)
        self._names = names
        self._found: list[str] = []

    def complete(self, text: str, state: int) -> str | None:
        """Return the completion of this number, None behind the last."""
        if state == 0:
            begun = _KEY.search(readline.get_line_buffer()[: readline.get_begidx()])
            self._found = self.keys(begun[1], text) if begun is not None else []
            if begun is None:
                return super().complete(text, state)
        if self._found:
            return self._found[state] if state < len(self._found) else None
        return super().complete(text, state)

    def keys(self, name: str, prefix: str) -> list[str]:
        """Return the keys of an object that begin so; readline closes the quote of the only one."""
        keys_like = getattr(self._names.get(name), "keys_like", None)
        if keys_like is None:
            return []
        try:
            found: list[str] = keys_like(prefix)
        except JobdError:
            return []  # nobody answers: nothing to complete, and nothing to say in the line
        return found
