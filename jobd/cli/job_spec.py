"""From flags to a job spec: the options of `job create` and `run`, and what they make.

Values go to the node as they were typed (`5m`, `512MiB`): it reads and judges them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from jobd.cli.failure import INVALID_SPEC, USAGE, Failure

__all__ = [
    "DASHES",
    "TYPES",
    "SpecCommand",
    "make_spec",
    "name_of",
    "read_argument",
    "read_spec_file",
    "spec_options",
]

TYPES: Final = click.Choice(["command", "container", "js"])
YAML: Final = "application/yaml"
DASHES: Final = "jobd.dashes"  # in the context: everything stood behind `--`
_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS: Final = (
    click.option("--env", "environment", multiple=True, metavar="K=V", help="Environment value."),
    click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="K=NAME",
        help="Environment value: a secret's.",
    ),
    click.option("--label", "labels", multiple=True, metavar="K=V", help="Label of the job."),
    click.option("--cpu", type=float, help="Cores that an attempt reserves."),
    click.option("--memory", metavar="SIZE", help="Memory that an attempt reserves: 512MiB."),
    click.option("--timeout", metavar="DURATION", help="Time limit of an attempt: 5m."),
    click.option("--retry", type=int, metavar="N", help="Try N more times after a failure."),
    click.option("--priority", type=int, help="0 to 100; 50 without it."),
    click.option("--at", metavar="TIME", help="Start then: 2026-12-01T09:00:00+01:00."),
    click.option("--delay", metavar="DURATION", help="Start so much later."),
    click.option("--cron", multiple=True, metavar="EXPR", help="Again and again: '0 2 * * *'."),
    click.option("--every", metavar="DURATION", help="Again and again, so far apart: 15m."),
    click.option("--timezone", metavar="ZONE", help="Of --cron: Europe/Berlin; UTC without it."),
    click.option("--node", help="Run on this node only."),
    click.option("--cwd", help="Working directory."),
    click.option("--user", help="User to run as."),
    click.option("--input", "input_", metavar="JSON|@FILE", help="The job's input."),
    click.option("--tasks", type=int, help="Run as so many indexed tasks."),
    click.option("--parallelism", type=int, help="Tasks at a time."),
)


class SpecCommand(click.Command):
    """A command that knows whether its arguments stood behind `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember the dashes: click takes them away."""
        ctx.meta[DASHES] = "--" in args
        return super().parse_args(ctx, args)


def spec_options(command: _F) -> _F:
    """Add the options of a job's spec to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_spec(
    name: str, type_: str, words: Sequence[str], *, exact: bool, module: str | None, **options: Any
) -> dict[str, Any]:
    """Return the spec that arguments and options make; `exact` takes the words as argv."""
    spec: dict[str, Any] = {"name": name, "type": type_}
    if type_ == "js":
        spec |= _js(module, words)
    elif module is not None:
        raise Failure("--module is for -t js", exit_code=USAGE)
    elif type_ == "container":
        spec |= _container(words)
    else:
        spec |= _command(words, exact)
    retry = options["retry"]
    wanted = {
        "environment": _environment(options["environment"], options["secrets"]),
        "labels": _pairs("--label", options["labels"]),
        "resources": _given(cpu=options["cpu"], memory=options["memory"]),
        "timeout": options["timeout"],
        "retry": {"max_attempts": retry + 1} if retry is not None else None,
        "priority": options["priority"],
        "trigger": _trigger(options),
        "placement": _given(node=options["node"]),
        "cwd": options["cwd"],
        "user": options["user"],
        "tasks": options["tasks"],
        "parallelism": options["parallelism"],
    }
    spec |= {key: value for key, value in wanted.items() if value not in (None, {})}
    if options["input_"] is not None:
        spec["input"] = _json(options["input_"])
    return spec


def name_of(words: Sequence[str]) -> str:
    """Return a name for a command without one: its program's."""
    program = words[0].split()[0].rpartition("/")[2] if words and words[0].split() else ""
    name = re.sub(r"[^a-z0-9._-]+", "-", program.lower()).strip("-._")
    return name[:63] or "run"


def read_spec_file(file: str) -> tuple[bytes, dict[str, str]]:
    """Return a spec's bytes, as they are, and their headers; `-` is stdin. Raises Failure."""
    return read_argument(f"@{file}"), {"Content-Type": YAML}


def read_argument(text: str) -> bytes:
    """Return the bytes that an argument stands for: itself, `@file`, or `@-` for stdin."""
    if not text.startswith("@"):
        return text.encode()
    if text == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as e:
        raise Failure(f"{text[1:]}: {e.strerror}", exit_code=USAGE) from None


def _command(words: Sequence[str], exact: bool) -> dict[str, Any]:
    if not words:
        raise Failure(
            "no command is given",
            remedy="Give it as one string, or as words behind --.",
            exit_code=USAGE,
        )
    if not exact and len(words) == 1 and any(c.isspace() for c in words[0]):
        return {"shell": words[0]}
    return {"cmd": words[0], "args": list(words[1:])}


def _container(words: Sequence[str]) -> dict[str, Any]:
    if not words:
        raise Failure("no image is given", exit_code=USAGE)
    return {"image": words[0]} | ({"command": list(words[1:])} if words[1:] else {})


def _js(module: str | None, words: Sequence[str]) -> dict[str, Any]:
    if module is None or words:
        raise Failure("a js job takes --module FILE or NAME, and no command", exit_code=USAGE)
    if Path(module).is_file():
        return {"code": Path(module).read_text()}
    return {"module": module}


def _trigger(options: dict[str, Any]) -> dict[str, Any]:
    cron = list(options["cron"])
    return _given(
        at=options["at"],
        delay=options["delay"],
        cron=(cron[0] if len(cron) == 1 else cron) or None,
        every=options["every"],
        timezone=options["timezone"],
    )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _environment(texts: Sequence[str], secrets: Sequence[str]) -> dict[str, Any]:
    named = {key: {"secret": name} for key, name in _pairs("--secret", secrets).items()}
    given: dict[str, Any] = _pairs("--env", texts)
    if twice := given.keys() & named.keys():
        raise Failure(f"--env and --secret both give {min(twice)}", exit_code=USAGE)
    return given | named


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise Failure(f"{option} takes K=V, not {text!r}", exit_code=USAGE)
        pairs[key] = value
    return pairs


def _json(text: str) -> Any:
    try:
        return json.loads(read_argument(text))
    except ValueError as e:
        raise Failure(f"--input is no JSON: {e}", exit_code=INVALID_SPEC) from None
