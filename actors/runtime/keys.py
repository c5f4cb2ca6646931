"""The keys of a link: this process's own, and whom the keys of others admit."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from actors.errors import Forbidden
from actors.runtime.curve import Curve

__all__ = ["Allow", "Keys"]

# The role of a key's owner: node, client or joiner; "" for a key that is not known.
Allow = Callable[[bytes], str]


def _nobody(key: bytes) -> str:
    return ""


class Keys(NamedTuple):
    """A key pair, and the allow-list. Who only connects needs none."""

    own: Curve
    allow: Allow = _nobody

    def check(self, key: bytes, *roles: str) -> str:
        """Return the role of a key's owner. Raises Forbidden unless it is one of these."""
        role = self.allow(key)
        if role not in roles:
            raise Forbidden(
                f"its key is a {role}'s, not a {roles[0]}'s" if role else "its key is not known",
                remedy="`jobd keys allow` adds a key; `jobd keys list` shows them",
            )
        return role
