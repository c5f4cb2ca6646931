"""A run as an SVG picture: boxes in layers, edges between them, colours by state.

Self-contained and without scripts: it may be opened as a file or shown in a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from jobd.api.run_views import RunDetail, StepView

__all__ = ["draw"]

_WIDTH: Final = 176
_HEIGHT: Final = 44
_GAP_X: Final = 64
_GAP_Y: Final = 18
_MARGIN: Final = 16
_SHOWN: Final = 22  # characters of a name
_COLOURS: Final = {
    "succeeded": "#2da44e",
    "failed": "#cf222e",
    "running": "#0969da",
    "waiting": "#bf8700",
    "cancelled": "#6e7781",
    "skipped": "#8c959f",
    "omitted": "#8c959f",
    "pending": "#afb8c1",
}


def draw(run: RunDetail, layers: Sequence[Sequence[str]]) -> str:
    """Return the picture; `layers` has the names of the steps from left to right."""
    places = {
        name: (
            _MARGIN + column * (_WIDTH + _GAP_X),
            _MARGIN + row * (_HEIGHT + _GAP_Y),
        )
        for column, layer in enumerate(layers)
        for row, name in enumerate(layer)
    }
    tallest = max(map(len, layers), default=0)
    width = 2 * _MARGIN + len(layers) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + tallest * (_HEIGHT + _GAP_Y) - _GAP_Y
    title = escape(f"{run.pipeline}: {run.state}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img" font-family="system-ui, sans-serif"'
        f' font-size="13"><title>{title}</title>',
        '<g fill="none" stroke="#8c959f" stroke-width="1.5">',
        *(_edge(places[need], places[step.name]) for step in run.graph for need in step.needs),
        "</g>",
        *(_box(step, *places[step.name]) for step in run.graph),
        "</svg>",
    ]
    return "\n".join(parts)


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    bend = (x2 - x1) // 2
    return f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"/>'


def _box(step: StepView, x: int, y: int) -> str:
    colour = _COLOURS[step.state]
    dashes = ' stroke-dasharray="4 3"' if step.is_final else ""
    name = step.name if len(step.name) <= _SHOWN else f"{step.name[: _SHOWN - 1]}…"
    said: str = step.state
    if step.items is not None:
        said += f" {step.items.get('succeeded', 0)}/{step.items['total']}"
    if step.continued:
        said += ", passed over"
    hint = escape(": ".join(word for word in (step.name, step.state, step.detail) if word))
    return (
        f"<g><title>{hint}</title>"
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{colour}"'
        f' fill-opacity="0.12" stroke="{colour}" stroke-width="1.5"{dashes}/>'
        f'<text x="{x + 12}" y="{y + 18}" fill="#1f2328">{escape(name)}</text>'
        f'<text x="{x + 12}" y="{y + 35}" fill="{colour}" font-size="11">{escape(said)}</text></g>'
    )
