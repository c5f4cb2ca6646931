"""The keys of a job spec: one table per mapping, from which schema, docs and reading follow.

A key is here when this release does what it says; a key to come is unknown until then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from actors.core.spec.kinds import (
    BOOLEAN,
    JSON,
    SIZE,
    Field,
    Kind,
    choice,
    durations,
    either,
    integer,
    list_of,
    map_of,
    number,
    record,
    scaled,
    text,
)
from actors.core.spec.problems import Path, Problems, shown
from actors.core.spec.trigger import TRIGGER
from actors.limits import CONCURRENCY_KEYS, DURATION_MS, TASKS
from actors.model.ids import NAME_RE
from actors.model.spec import Limits, NodeLost, Placement, Resources, Retry

__all__ = ["AS_WRITTEN", "COMMON", "OWN", "REQUIRED", "SecretName"]

# Keys whose plain YAML scalars stay text: nobody means a number by `VERSION: 1.10`.
AS_WRITTEN: Final = frozenset(
    {"args", "cmd", "command", "cwd", "entrypoint", "environment", "image", "labels"}
    | {"module", "name", "shell", "user", "umask"}
)
REQUIRED: Final = ("name", "type")

_SIGNALS: Final = (
    "TERM",
    "INT",
    "HUP",
    "QUIT",
    "KILL",
    "USR1",
    "USR2",
    "ABRT",
    "ALRM",
    "CONT",
    "PIPE",
    "WINCH",
)
_NAME: Final = text(NAME_RE.pattern, "a name of a-z, 0-9, `.`, `_`, `-`, at most 63 characters")
_LABEL: Final = text(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", "a label of letters, digits, . _ / -")
_ENV_NAME: Final = text(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")
_LINE: Final = text(r".+", "text that isn't empty")
_LINES: Final = text(lines=True)
_TEMPLATE: Final = text(r".+", "text that isn't empty", most=512)
_ABSOLUTE: Final = text(r"/(?!(.*/)?\.\.(/|$)).*", "an absolute path without `..`")


def _read_plain(value: Any, path: Path, problems: Problems) -> str | None:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        problems.add(path, f"expected text, got {shown(value)}")
        return None


_PLAIN: Final = Kind({"type": ["number", "boolean"]}, _read_plain)
_PLAINS: Final[Mapping[type, Kind]] = {
    str: _LINES,
    int: _PLAIN,
    float: _PLAIN,
    bool: _PLAIN,
}
_SCHEMA: Final = map_of(_LINES, JSON)._replace(schema={"title": "JSON Schema", "type": "object"})
_SECRET: Final = {"secret": Field("name", _NAME, "the name of a secret")}
_LABELS: Final = map_of(_LABEL, either("text", _PLAINS))


_RETRY: Final = {
    "max_attempts": Field("max_attempts", integer(1, 1000), "the first one counts", "1"),
    "backoff": Field(
        "backoff",
        choice("constant", "linear", "exponential", "fibonacci"),
        "how delays grow",
        "exponential",
    ),
    **durations("delay", "delay_ms", "before the second attempt", least_ms=0, default="5s"),
    "factor": Field("factor", number(1, 100), "of the exponential backoff", "2"),
    **durations("max_delay", "max_delay_ms", "no delay is longer", least_ms=0, default="5m"),
    "jitter": Field(
        "jitter", choice("none", "full", "equal", "decorrelated"), "spreads delays", "full"
    ),
    "retry_on": Field(
        "retry_on",
        list_of(choice("failed", "timeout", "node_lost", "oom")),
        "which failures are tried again",
        "all four",
    ),
    "no_retry_exit": Field(
        "no_retry_exit", list_of(integer(0, 255)), "exit codes that are final", "[]"
    ),
}
# The seed's spelling of `retry`.
_ON_FAILURE: Final = {
    "type": Field("type", choice("retry"), "only `retry`"),
    "max_attempts": _RETRY["max_attempts"],
    "backoff_ms": Field("delay_ms", integer(0, DURATION_MS), "before the second attempt", "5000"),
}
_NODE_LOST: Final = {
    **durations("wait", "wait_ms", "for the node to come back", least_ms=0, default="2m"),
    "then": Field("then", choice("requeue", "fail"), "what follows"),
}
_CONCURRENCY: Final = {
    "key": Field("key", _TEMPLATE, "shared by the jobs that wait for one another"),
    "max": Field("max", integer(1, 10_000), "attempts at a time, in the whole cluster"),
    "on_limit": Field(
        "on_limit",
        choice("queue", "cancel_running", "cancel_new", "fail"),
        "what a job does that finds no room",
        "queue",
    ),
}
_IDEMPOTENCY: Final = {
    "key": Field("key", _TEMPLATE, "a second job with this key is the first one"),
    **durations("ttl", "ttl_ms", "how long the key is kept", default="24h"),
}
_LIMITS: Final = {
    "nofile": Field("nofile", integer(3, 2**20), "open files"),
    "fsize": Field("fsize_bytes", SIZE, "size of a file that it writes"),
    "nproc": Field("nproc", integer(1, 2**22), "processes of its user"),
}
_RESOURCES: Final = {
    "cpu": Field("cpu_milli", scaled(number(0.001, 4096), 1000, 1), "cores reserved"),
    "memory": Field("memory_bytes", SIZE, "memory reserved"),
}
_PLACEMENT: Final = {
    "labels": Field("labels", _LABELS, "the node must have them", "{}"),
    "node": Field("node", _NAME, "this node only"),
    "spread": Field("spread", BOOLEAN, "prefer nodes that run fewer of its tasks", "false"),
}
_VOLUME: Final = {
    "source": Field("source", _LINE, "path on the node"),
    "target": Field("target", _ABSOLUTE, "path in the container"),
    "read_only": Field("read_only", BOOLEAN, "no writes", "false"),
}


class SecretName(NamedTuple):
    """A variable that gets its value from a secret."""

    name: str


def _secret_name() -> Kind:
    kind = record(_SECRET, SecretName, ("secret",))
    return kind._replace(schema={"title": "{secret: NAME}", **kind.schema})


def _requeue_or_fail() -> Kind:
    word = choice("requeue", "fail")

    def read(value: Any, path: Path, problems: Problems) -> NodeLost | None:
        then: Any = word.read(value, path, problems)
        return None if then is None else NodeLost(0, then)

    return Kind(word.schema, read)


def _retry(**given: Any) -> Retry:
    del given["type"]
    return Retry(**given)


COMMON: Final[dict[str, Field]] = {
    "name": Field("name", _NAME, "need not be unique"),
    "type": Field("type", choice("command", "container", "js"), "what runs it"),
    "environment": Field(
        "environment",
        map_of(
            _ENV_NAME,
            either(
                "text or {secret: NAME}",
                {**_PLAINS, dict: _secret_name()},
            ),
        ),
        "variables: text; numbers and booleans as text; a secret's value by its name",
        "{}",
    ),
    "input": Field("input", JSON, "the job gets it as it is", "none"),
    "input_schema": Field("input_schema", _SCHEMA, "what the input must satisfy"),
    "output_schema": Field("output_schema", _SCHEMA, "what the output must satisfy"),
    "labels": Field("labels", _LABELS, "to find it by", "{}"),
    "trigger": Field("trigger", TRIGGER, "when it is due", "now"),
    "resources": Field("resources", record(_RESOURCES, Resources), "what an attempt reserves"),
    "placement": Field("placement", record(_PLACEMENT, Placement), "where it may run"),
    "priority": Field("priority", integer(0, 100), "higher goes first", "50"),
    "concurrency": Field(
        "concurrency",
        list_of(record(_CONCURRENCY, dict, ("key", "max")), most=CONCURRENCY_KEYS),
        "limits shared between jobs",
        "[]",
    ),
    "idempotency": Field("idempotency", record(_IDEMPOTENCY, dict, ("key",)), "one job per key"),
    "idempotent": Field("idempotent", BOOLEAN, "running it twice does no harm", "false"),
    **durations("timeout", "timeout_ms", "most that one attempt takes"),
    **durations(
        "total_timeout", "total_timeout_ms", "most that the job takes with all its attempts"
    ),
    **durations("schedule_timeout", "schedule_timeout_ms", "most that an attempt waits for a slot"),
    **durations("idle_timeout", "idle_timeout_ms", "most that an attempt is silent"),
    **durations("expires", "expires_ms", "not started by then: expired"),
    "retry": Field("retry", record(_RETRY, Retry), "how failures are tried again"),
    "on_failure": Field("retry", record(_ON_FAILURE, _retry, ("type",)), "`retry` in fewer words"),
    "node_lost": Field(
        "node_lost",
        either(
            "requeue, fail or {wait, then}",
            {str: _requeue_or_fail(), dict: record(_NODE_LOST, NodeLost, ("then",))},
        ),
        "when the node of an attempt is lost",
        "requeue if idempotent, else {wait: 2m, then: fail}",
    ),
    "on_isolation": Field(
        "on_isolation",
        choice("continue", "stop"),
        "what a node cut off from the others does with it",
        "continue",
    ),
    "tasks": Field("tasks", integer(1, TASKS), "members of an indexed fan-out", "1"),
    "parallelism": Field("parallelism", integer(0, TASKS), "tasks at a time; 0: all", "0"),
    "min_success": Field(
        "min_success",
        either(
            "a count or a share such as 80%",
            {int: integer(1, TASKS), str: text(r"([1-9][0-9]?|100)%", "a share such as 80%")},
        ),
        "tasks that must succeed: a count, or a share such as 80%",
        "all",
    ),
    "fail_fast": Field("fail_fast", BOOLEAN, "the first failed task ends the job", "false"),
}
_PROCESS: Final[dict[str, Field]] = {
    "cwd": Field("cwd", _LINE, "working directory", "a new one per attempt"),
    "user": Field(
        "user",
        text(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?", "a user's name"),
        "the user that it runs as",
    ),
    "stdin": Field("stdin", choice("null", "input"), "`input` puts the input's JSON there", "null"),
    "kill_signal": Field(
        "kill_signal", choice(*_SIGNALS, prefix="SIG"), "asks its processes to end", "TERM"
    ),
    **durations(
        "kill_grace", "kill_grace_ms", "from the kill signal to KILL", least_ms=0, default="10s"
    ),
    "limits": Field("limits", record(_LIMITS, Limits), "of its processes (setrlimit)"),
}
OWN: Final[dict[str, dict[str, Field]]] = {
    "command": {
        "cmd": Field("cmd", _LINE, "the program"),
        "args": Field("args", list_of(_LINES), "its arguments", "[]"),
        "shell": Field(
            "shell",
            text(r"(?s:.*\S.*)", "a shell line", lines=True),
            "a line for `/bin/sh -c`, instead of cmd and args",
        ),
        "umask": Field(
            "umask", text(r"0?[0-7]{3}", 'octal text such as "077"'), "octal, as text", '"077"'
        ),
        **_PROCESS,
    },
    "container": {
        "image": Field("image", text(r"[A-Za-z0-9][\w./:@-]*", "an image"), "an OCI image"),
        "command": Field("command", list_of(_LINES), "what runs in it", "the image's own"),
        "entrypoint": Field(
            "entrypoint", list_of(_LINES), "what gets the command", "the image's own"
        ),
        "volumes": Field(
            "volumes",
            list_of(record(_VOLUME, dict, ("source", "target"))),
            "what it sees of the node",
            "[]",
        ),
        "pull": Field("pull", choice("always", "missing", "never"), "when to pull", "missing"),
        "registry_auth": Field(
            "registry_auth",
            text(rf"secret/{NAME_RE.pattern}", "secret/NAME"),
            "a secret for the registry",
        ),
        **_PROCESS,
    },
    "js": {
        "module": Field(
            "module",
            text(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", "a module's name"),
            "a stored module",
        ),
        "code": Field("code", text(r"(?s:.*\S.*)", "JavaScript", lines=True), "its text, instead"),
        "function": Field(
            "function",
            text(r"[A-Za-z_$][\w$]{0,127}", "a function's name"),
            "what is called in it",
            "run",
        ),
    },
}
