"""crontab(5): the file of `crontab -l`, or with a user in the sixth column /etc/crontab."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final

from jobd.cli.importers.imported import Imported

__all__ = ["read_crontab"]

_SETTING: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
_PERCENT: Final = re.compile(r"(?<!\\)%")
_QUIET: Final = frozenset({"HOME", "LOGNAME", "USER"})


def read_crontab(text: bytes, *, system: bool = False) -> Imported:
    """Return a schedule for each line; `system` files name a user before the command."""
    made = Imported()
    settings: dict[str, str] = {}
    for number, line in enumerate(text.decode(errors="replace").splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        setting = _SETTING.fullmatch(line)
        if setting is not None:
            settings[setting[1]] = setting[2].strip("\"'")
            continue
        _line(made, f"line {number}", stripped, settings, system)
    if made.specs:
        if not {"CRON_TZ", "TZ"} & settings.keys():
            made.note("all", "cron means the machine's own time; here it is UTC: give timezone")
        if "HOME" not in settings:
            made.note(
                "all", "cron runs commands in the user's home; here a new directory: give cwd"
            )
    return made


def _line(made: Imported, about: str, line: str, settings: dict[str, str], system: bool) -> None:
    count = 1 if line.startswith("@") else 5
    parts = line.split(None, count + system)
    if len(parts) <= count + system:
        made.note(about, "no command; left out")
        return
    when, command = " ".join(parts[:count]), parts[-1]
    if when == "@reboot":
        made.note(about, "@reboot has no equivalent; a systemd unit runs at boot; left out")
        return
    if _PERCENT.search(command):
        made.note(about, "% begins the command's standard input; that part is left out")
        command = _PERCENT.split(command, maxsplit=1)[0].rstrip()
    command = command.replace("\\%", "%")
    own = {key: value for key, value in settings.items() if key not in _ABOUT_CRON | _QUIET}
    if settings.get("MAILTO"):
        made.note("all", f"output is not mailed to {settings['MAILTO']}: `jobctl job logs` has it")
    shell = settings.get("SHELL", "/bin/sh")
    runs: dict[str, Any] = {"shell": command}
    if PurePosixPath(shell).name != "sh":
        runs = {"cmd": shell, "args": ["-c", command]}
    made.add(
        _name(command),
        {
            "type": "command",
            **runs,
            "user": parts[count] if system else None,
            "cwd": settings.get("HOME"),
            "environment": own,
            "trigger": {
                "cron": when,
                **_zone(settings),
                "overlap": "allow",
                "catchup": {"mode": "none"},
            },
        },
    )


_ABOUT_CRON: Final = frozenset({"CRON_TZ", "TZ", "MAILTO", "MAILFROM", "SHELL", "RANDOM_DELAY"})


def _zone(settings: dict[str, str]) -> dict[str, str]:
    zone = settings.get("CRON_TZ") or settings.get("TZ")
    jitter = settings.get("RANDOM_DELAY", "")
    found = {"timezone": zone} if zone else {}
    return found | ({"jitter": f"{jitter}m"} if jitter.isdecimal() and int(jitter) else {})


def _name(command: str) -> str:
    """The program that a line runs: its first word that is no setting, `cd` or a wrapper."""
    for word in re.split(r"[\s;&|()]+", command):
        program = PurePosixPath(word).name
        if program and "=" not in word and program not in _WRAPPERS and not word.startswith("-"):
            return program.rsplit(".", 1)[0] or program
    return "job"


_WRAPPERS: Final = frozenset(
    {"cd", "env", "nice", "ionice", "sudo", "test", "[", "]", "sh", "bash"}
)
