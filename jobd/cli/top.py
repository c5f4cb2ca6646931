"""jobctl top: the nodes and their jobs on one page that stays true while one looks at it.

Events of the node say when to look again. Without a terminal the page is printed once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from jobd.cli.client import Client
from jobd.cli.node import node_state
from jobd.cli.output import age, heard
from jobd.cli.session import Session, pass_session
from jobd.cli.watch import changes

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["top"]

WINDOW_S: Final = 60.0  # that rates are of
FAILURES: Final = 5
FRAME: Final = 11  # lines of the page that are no job's
BAR: Final = 24
ID: Final = 26  # characters of an id, of which none is left out
WIDE: Final = 160  # columns where no terminal sets a width: nothing is cut
_QUEUED: Final = ("pending", "waiting", "scheduled")
_RATES: Final = ("submitted", "completed", "failed")


class _Page(NamedTuple):
    """What is shown, as the API gave it."""

    status: dict[str, Any]
    nodes: list[dict[str, Any]]
    running: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    seen_s: float


class _Rates:
    """Events a second over the last minute, or since there are any."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._heard: deque[tuple[float, str]] = deque()

    def hear(self, event: dict[str, Any]) -> None:
        """Count an event; called by the thread that listens."""
        self._heard.append((time.monotonic(), event["type"].rpartition(":")[2]))

    def now(self) -> dict[str, float]:
        """Return the rate of each kind of event."""
        now = time.monotonic()
        while self._heard and self._heard[0][0] < now - WINDOW_S:
            self._heard.popleft()
        kinds = [kind for _, kind in tuple(self._heard)]
        over_s = max(1.0, min(WINDOW_S, now - self._began))
        return {kind: kinds.count(kind) / over_s for kind in _RATES}


@click.command()
@pass_session
def top(session: Session) -> None:
    """Watch the nodes: their slots, the queue, the jobs. `q` leaves."""
    from rich.console import Console

    client = session.client
    if not sys.stdout.isatty():
        page = _look(client, client.get("/status"))
        Console(width=WIDE).print(_draw(page, {}, len(page.running)))
        return
    with _leaving_by_key():
        _live(client, Console())


def _live(client: Client, console: Console) -> None:
    from rich.live import Live

    rates = _Rates()
    page: _Page | None = None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for status in changes(client, "/status", {}, heard=rates.hear):
            if page is None or status is not page.status:
                page = _look(client, status)
            nodes = len(page.nodes) + 2 if len(page.nodes) > 1 else 0
            rows = console.size.height - FRAME - nodes - len(page.failed)
            live.update(_draw(page, rates.now(), max(rows, 1)), refresh=True)


def _look(client: Client, status: dict[str, Any]) -> _Page:
    running = client.wait("/jobs", state="running", limit=50)["items"]
    failed = client.wait("/jobs", state="failed", limit=FAILURES)["items"]
    for job in running:
        if job["tasks"] > 1:
            job["task_states"] = client.wait(f"/jobs/{job['id']}").get("task_states")
    nodes = client.wait("/nodes")["items"]
    return _Page(status, nodes, running, failed, time.monotonic())


def _draw(page: _Page, rates: dict[str, float], rows: int) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    status = page.status
    jobs, up_s = status["jobs"], status["uptime_s"] + time.monotonic() - page.seen_s
    head = Text.assemble(
        (status["name"], "bold"), f"  JobD {status['version']}  up {_span(up_s)}",
        ("  read-only: " + status["read_only"] if status.get("read_only") else "", "bold red"),
        ("  cut off from the others" if status.get("isolated_ms") else "", "bold red"),
    )  # fmt: skip
    up = [node for node in page.nodes if node["state"] == "up"]
    slots = Text("slots   ") + _slots(
        sum(node["slots_total"] for node in up), sum(node["slots_free"] for node in up)
    )
    queue = "queue   " + "   ".join(f"{jobs.get(state, 0)} {state}" for state in _QUEUED)
    rate = "rate    " + "   ".join(f"{rates[kind]:.1f}/s {kind}" for kind in rates)
    hidden = len(page.running) - rows
    parts: list[RenderableType] = [head, "", slots, Text(queue)]
    if rates:
        parts.append(Text(rate))
    if len(page.nodes) > 1:
        parts += ["", _nodes(page.nodes)]
    parts += ["", _running(page.running[:rows])]
    if hidden > 0:
        parts.append(Text(f"and {hidden} more", "bright_black"))
    if page.failed:
        parts += ["", _failed(page.failed)]
    if rates:
        parts += ["", Text("q leaves", "bright_black")]
    return Group(*parts)


def _slots(total: int, free: int) -> Text:
    """A bar of slots, with how many are in use."""
    from rich.text import Text

    busy = max(0, total - free)
    full = round(BAR * busy / max(total, 1))
    return Text.assemble(
        ("━" * full, "cyan"), ("━" * (BAR - full), "bright_black"), f"  {busy} of {total} in use"
    )


def _nodes(nodes: list[dict[str, Any]]) -> Table:
    table = _table("NODE", "STATE", "ROLE", "SLOTS", "HEARD")
    for node in nodes:
        shown = node_state(node)
        style = {"up": "", "lost": "red"}.get(shown, "yellow")
        slots = _slots(node["slots_total"], node["slots_free"])
        since = heard(node["heard_ms"])
        table.add_row(node["name"], shown, node["role"], slots, since, style=style)
    return table


def _running(jobs: list[dict[str, Any]]) -> Table:
    table = _table("RUNNING", "FOR", "ATTEMPT", "TASKS", "ID")
    for job in jobs:
        states = job.get("task_states") or {}
        over = sum(count for state, count in states.items() if state not in ("running", *_QUEUED))
        tasks = f"{over} of {job['tasks']}" if job["tasks"] > 1 else ""
        attempt = str(job["attempt"] or "")  # a fan-out's tasks have each their own
        table.add_row(job["name"], age(job["started_at"]), attempt, tasks, job["id"], style="cyan")
    return table


def _failed(jobs: list[dict[str, Any]]) -> Table:
    table = _table("FAILED", "AGO", "REASON", "EXIT", "ID")
    for job in jobs:
        code = "" if job["exit_code"] is None else str(job["exit_code"])
        table.add_row(
            job["name"], age(job["finished_at"]), job["reason"], code, job["id"], style="red"
        )
    return table


def _table(*titles: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True, min_width=ID if title == "ID" else None)
    return table


def _span(seconds: float) -> str:
    minutes, hours = int(seconds) // 60, int(seconds) // 3600
    if hours >= 48:
        return f"{hours // 24}d"
    return f"{hours}h {minutes % 60}m" if hours else f"{minutes}m {int(seconds) % 60}s"


@contextmanager
def _leaving_by_key() -> Iterator[None]:
    """Have `q` leave as Ctrl-C does; neither is a failure here."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None

    def read() -> None:
        while key := os.read(sys.stdin.fileno(), 1):
            if key in b"qQ":
                os.kill(os.getpid(), signal.SIGINT)

    if before is not None:
        tty.setcbreak(sys.stdin)
        threading.Thread(target=read, daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        if before is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
