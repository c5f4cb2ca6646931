"""Run a page's blocks as its reader would: in a shell, in order, in one directory.

A `console` block is a session: `$ ` begins a command, `> ` continues it, the lines below are what
it prints (stdout and stderr in the order in which they come). Blocks of a page that follow one
another are one session, as the reader has one terminal, and all its Python is one program. Ids,
times, ages, addresses and spaces may differ from the page's; `…` stands for anything, a line of its
own for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import Block

__all__ = ["Command", "agrees", "commands", "environment", "run", "sessions"]

INTERPRETERS = {
    "bash": ["bash", "-euo", "pipefail", "-c"],
    "console": ["bash", "-uo", "pipefail", "-c"],
    "python": [sys.executable, "-W", "error", "-c"],
}
BETWEEN = "\x1e"  # printed behind each command of a session
VARYING = (
    (r"\b[0-9a-hjkmnp-tv-z]{26}\b", "ID"),
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)", "TIME"),
    (r"\b(?:127\.0\.0\.1|localhost):\d+", "ADDRESS"),
    (r"\b\d+(?:\.\d+)?(?:ms|s|m)\b(?! )", "AGE"),
    (r"\s+", " "),
)


class Command(NamedTuple):
    """A command of a session and what the page says that it prints."""

    text: str
    prints: str


def environment(directory: Path) -> dict[str, str]:
    """Return what a block sees: this environment's commands, a home, ports that are free."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    free = {
        "JOBD_CFG_HTTP__BIND": "127.0.0.1:0",
        "JOBD_CFG_CLUSTER__BIND": "127.0.0.1:0",
        "JOBD_CFG_TELEMETRY__METRICS": "127.0.0.1:0",
    }
    return {"PATH": path, "HOME": str(directory), "LC_ALL": "C.UTF-8", "TZ": "UTC", **free}


def sessions(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield a page's blocks: its console blocks that follow one another as one, its Python as one.

    A page's Python is one program, as its reader has one prompt; it runs where it begins.
    """
    for language, group in groupby(_together(list(blocks)), key=lambda block: block.language):
        if language == "console":
            together = list(group)
            yield Block(together[0].line, language, "".join(b.code for b in together))
        else:
            yield from group


def _together(blocks: list[Block]) -> Iterator[Block]:
    """Yield the blocks with all Python in the place of its first block."""
    program = [block for block in blocks if block.language == "python"]
    for block in blocks:
        if block.language != "python":
            yield block
        elif block is program[0]:
            yield block._replace(code="\n".join(each.code for each in program))


def commands(session: str) -> Iterator[Command]:
    """Yield the commands of a session."""
    for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = 1
        while count < len(lines) and lines[count].startswith(">"):
            count += 1
        text = "\n".join([lines[0], *(line[2:] for line in lines[1:count])])
        yield Command(text, "\n".join(lines[count:]))


def agrees(said: str, printed: str) -> bool:
    """Say whether a page's output is what was printed, but for what varies."""
    for pattern, name in VARYING:
        said, printed = re.sub(pattern, name, said), re.sub(pattern, name, printed)
    wanted = ".*".join(re.escape(part.strip()) for part in said.split("…"))
    return re.fullmatch(rf"\s*{wanted}\s*", printed, re.DOTALL) is not None


def run(block: Block, directory: Path, variables: Mapping[str, str]) -> str:
    """Run a block; return what is wrong with it, nothing when it does as the page says."""
    if block.language != "console":
        status, printed = _execute(block.language, block.code, directory, variables)
        return f"exit status {status}\n{printed}" if status else ""
    session = list(commands(block.code))
    script = "\n".join(f"{c.text}\n{{ s=$?; printf '{BETWEEN}'; (exit $s); }}" for c in session)
    _, printed = _execute("console", script, directory, variables)
    parts = printed.split(BETWEEN)
    for command, part in zip(session, [*parts, *[""] * len(session)], strict=False):
        if not agrees(command.prints, part):
            return f"$ {command.text}\nthe page says:\n{command.prints}\nit printed:\n{part}"
    return "" if len(parts) == len(session) + 1 else f"the session ended early:\n{printed}"


def _execute(
    language: str, code: str, directory: Path, variables: Mapping[str, str]
) -> tuple[int, str]:
    """Run code; its output goes to a file, which what it leaves running may hold open."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        done = subprocess.run(
            [*INTERPRETERS[language], code],
            cwd=directory,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        output.seek(0)
        return done.returncode, output.read()
