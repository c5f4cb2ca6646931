"""A run's graph as lines of a terminal: a row for each step, and lanes from it to what needs it.

    ✔ list
    ├─✔ each 3/3
    │ ✔ sum
    ✘ │ bad
    ●─╯ after

A lane begins at a step and goes down until the last step that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from jobd.cli.output import coloured

__all__ = ["COLOURS", "graph_lines"]

_SIGNS: Final = {
    "succeeded": "✔",
    "failed": "✘",
    "running": "●",
    "waiting": "◔",
    "cancelled": "■",
    "skipped": "▷",
    "omitted": "·",
    "pending": "○",
}
COLOURS: Final = {
    "succeeded": "green",
    "succeeded_with_warnings": "yellow",
    "failed": "red",
    "running": "cyan",
    "waiting": "yellow",
    "cancelled": "yellow",
}


def graph_lines(steps: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rows of a graph, `steps` as the API shows them."""
    return list(_rows(_in_order(steps)))


def _in_order(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order steps so that each comes behind what it needs, near to it where that is possible."""
    left = {step["name"]: step for step in steps}
    order: list[dict[str, Any]] = []
    while left:
        ready = [step for step in left.values() if not any(n in left for n in step["needs"])]
        if not ready:
            return [*order, *left.values()]
        last = order[-1]["name"] if order else ""
        step = next((s for s in ready if last in s["needs"]), ready[0])
        order.append(step)
        del left[step["name"]]
    return order


def _rows(order: list[dict[str, Any]]) -> Iterator[str]:
    waiting = {
        step["name"]: {other["name"] for other in order if step["name"] in other["needs"]}
        for step in order
    }
    lanes: list[str] = []  # the step whose lane is in this column, "" for none
    for step in order:
        name = step["name"]
        needs = [column for column, lane in enumerate(lanes) if lane and lane in step["needs"]]
        for column in needs:
            waiting[lanes[column]].discard(name)
        freed = [column for column in needs if not waiting[lanes[column]]]
        own = freed[0] if freed else _free(lanes)
        if own == len(lanes):
            lanes.append("")
        yield _row(step, lanes, needs, freed, own)
        for column in freed:
            lanes[column] = ""
        lanes[own] = name if waiting[name] else ""
        while lanes and not lanes[-1]:
            lanes.pop()


def _free(lanes: list[str]) -> int:
    return next((i for i, lane in enumerate(lanes) if not lane), len(lanes))


def _row(
    step: dict[str, Any], lanes: list[str], needs: list[int], freed: list[int], own: int
) -> str:
    joined = [*needs, own]
    left, right = min(joined), max(joined)
    cells = []
    for column, lane in enumerate(lanes):
        if column == own:
            sign = coloured(_SIGNS[step["state"]], COLOURS.get(step["state"]))
        elif column in needs:
            sign = _corner(column, own, ends=column in freed)
        elif left < column < right:
            sign = "┼" if lane else "─"
        else:
            sign = "│" if lane else " "
        cells.append(sign + ("─" if left <= column < right else " "))
    return "".join(cells).rstrip() + " " + _label(step)


def _corner(column: int, own: int, *, ends: bool) -> str:
    if column < own:
        return "╰" if ends else "├"
    return "╯" if ends else "┤"


def _label(step: dict[str, Any]) -> str:
    words: list[str] = [step["name"]]
    items: dict[str, int] | None = step["items"]
    if items is not None:
        words.append(f"{items.get('succeeded', 0)}/{items['total']}")
    colour: Callable[[str], str] = lambda text: coloured(text, COLOURS.get(step["state"]))  # noqa: E731
    words.append(colour(step["state"]))
    if step["continued"]:
        words.append("(passed over)")
    if step["reused"]:
        words.append("(of the earlier run)")
    if step["state"] in ("failed", "omitted", "waiting") and (step["detail"] or step["reason"]):
        words.append(f"— {step['detail'] or step['reason']}")
    return " ".join(words)
