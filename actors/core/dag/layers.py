"""A graph in layers, for whoever draws it: each step lies below all that it waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["layers_of"]


def layers_of(needs: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the steps by layer, within a layer in the order of the mapping."""
    depth: dict[str, int] = {}
    left = dict(needs)
    while left:
        ready = [name for name, before in left.items() if all(b not in left for b in before)]
        if not ready:  # no graph that was accepted has a cycle
            ready = list(left)
        for name in ready:
            depth[name] = max((depth[b] + 1 for b in left[name] if b in depth), default=0)
        for name in ready:
            del left[name]
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in needs:
        layers[depth[name]].append(name)
    return layers
