"""--watch: look again whenever something happened, until Ctrl-C.

On a terminal a table is drawn over itself on the alternate screen, and its last state is left
behind; in a pipe each object that is new or changed is a line of JSON. Events of the node say when
to look again, so an idle watch asks for nothing.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final

import click

from jobd.cli.client import Client
from jobd.cli.failure import Failure
from jobd.cli.output import print_lines

__all__ = ["Screen", "changes", "watch", "watch_option"]

TICK_S: Final = 1.0  # ages grow while nothing happens
SETTLE_S: Final = 0.2  # what happens together is looked at once
_LAST: Final = 2**31 - 1  # above every k of a revision
_JOBS: Final = "jobd:job:*"

watch_option = click.option(
    "-w", "--watch", "watching", is_flag=True, help="Look again whenever something happens."
)


class Screen:
    """The alternate screen of a terminal, drawn over as a whole; what it showed last stays."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Screen:
        self._write("\x1b[?1049h\x1b[?25l")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write("\x1b[?25h\x1b[?1049l")
        print_lines(self._shown)

    def draw(self, lines: list[str]) -> None:
        """Draw lines; what the terminal has no room for is counted instead."""
        self._shown = lines
        size = shutil.get_terminal_size()
        if len(lines) > size.lines:
            below = len(lines) - size.lines + 1
            lines = [*lines[: size.lines - 1], f"… {below} more"]
        clear = "\x1b[2J" if size != self._size else ""
        self._size = size
        text = "\x1b[K\r\n".join(_cut(line, size.columns) for line in lines)
        self._write(f"{clear}\x1b[H{text}\x1b[K\x1b[J")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def watch(
    client: Client,
    form: str,
    path: str,
    query: dict[str, Any],
    *,
    lines: Callable[[Any], list[str]],
    subject: str | None = None,
    over: Callable[[Any], bool] = lambda body: False,
    types: str = _JOBS,
) -> None:
    """Show what a GET answers, and again at each change, until it is `over`.

    `lines` makes the table; `subject` narrows the events to those about one thing.
    """
    bodies = changes(client, path, query, subject=subject, types=types)
    if form in ("table", "wide") and sys.stdout.isatty():
        with Screen() as screen:
            for body in bodies:
                screen.draw(lines(body))
                if over(body):
                    return
    told: dict[str, Any] = {}
    for body in bodies:
        for item in body.get("items", [body]):
            key = item.get("id", "")
            if told.get(key) != item:
                told[key] = item
                click.echo(json.dumps(item, ensure_ascii=False))
        if over(body):
            return


def changes(
    client: Client,
    path: str,
    query: dict[str, Any],
    *,
    subject: str | None = None,
    heard: Callable[[dict[str, Any]], None] = lambda event: None,
    types: str = _JOBS,
) -> Iterator[Any]:
    """Yield what a GET answers: now, after each change, and the same object every TICK_S.

    `heard` is called with each event, in another thread. Raises Unreachable when the nodes stay
    away.
    """
    answer = client.request("GET", path, query=query)
    after = f"{answer.headers['X-JobD-Revision']}-{_LAST}"
    happened, failures = threading.Event(), list[Failure]()

    def listen() -> None:
        events = {"types": types, "subject": subject}
        try:
            for name, _, data in client.stream("/events/stream", events, after=after):
                if name == "event":
                    heard(data)
                happened.set()
        except Failure as failure:
            failures.append(failure)
            happened.set()

    threading.Thread(target=listen, daemon=True).start()
    body = answer.json
    while True:
        yield body
        if happened.wait(TICK_S):
            time.sleep(SETTLE_S)
            happened.clear()
            if failures:
                raise failures[0]
            body = client.wait(path, **query)


def _cut(line: str, columns: int) -> str:
    plain = click.unstyle(line)
    return line if len(plain) <= columns else f"{plain[: columns - 1]}…"
