"""Addresses: `jobd://<node>/<kind>/<key>`; one without a node is of this process."""

from __future__ import annotations

from typing import Final

__all__ = ["SCHEME", "node_of"]

SCHEME: Final = "jobd://"


def node_of(address: str) -> str:
    """Return the node of an address, "" for one without."""
    if not address.startswith(SCHEME):
        return ""
    return address[len(SCHEME) :].partition("/")[0]
