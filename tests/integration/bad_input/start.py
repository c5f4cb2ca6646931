"""Starts of a node that must be refused: what it says, how it exits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# An interpreter in a home that nobody may pass is loaded before its process becomes nobody.
_AS_NOBODY = """
import os, sys
import uvloop
import jobd.node.boot, jobd.node.logs
from jobd.__main__ import main
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
main()
"""

__all__ = ["CONFIG", "DATA_DIRECTORY", "Refusal", "refusal"]

# sysexits.h
DATA_DIRECTORY = 73
CONFIG = 78


class Refusal(NamedTuple):
    """The exit code and the lines on stderr: one of cause and one of remedy."""

    code: int
    cause: str
    remedy: str


def refusal(
    data: Path,
    *args: str,
    environment: dict[str, str] | None = None,
    as_nobody: bool = False,
) -> Refusal:
    """Start a node that can't start, on free ports unless `args` name others."""
    program = ["-c", _AS_NOBODY] if as_nobody else ["-m", "jobd"]
    command = [sys.executable, *program, "start", "--data", str(data)]
    ports = [f"{flag}=127.0.0.1:0" for flag in ("--http", "--cluster", "--metrics")]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("JOBD_")}
    done = subprocess.run(
        [*command, *ports, *args],
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=20,
    )
    lines: list[str] = done.stderr.splitlines()
    assert done.stdout == ""
    assert all(line.startswith("20") for line in lines[:-2]), done.stderr  # its own log
    assert len(lines) >= 2, done.stderr
    cause, remedy = lines[-2:]
    assert cause.startswith("jobd: "), done.stderr
    assert remedy.startswith("      ")
    return Refusal(done.returncode, cause.removeprefix("jobd: "), remedy.strip())
