"""From what a user wrote to a JobSpec.

Rules of this file:
1. One pass over the keys, then the checks that need more than one key; each of those runs only if
   the keys that it looks at are right by themselves.
2. Nothing here is read twice: a JobSpec holds milliseconds, bytes and resolved keys.

Invariants of every JobSpec that comes out:
I1  `encode(spec)` is at most SPEC_BYTES, and decodes to an equal spec.
I2  A command has an argv of at least one item; argv and environment stay below their limits.
I3  The input satisfies the input schema, and both schemas can be used.
I4  `needed` is between 1 and `tasks`.
"""

from __future__ import annotations

from typing import Any, Final

from actors.core.spec.document import read_document
from actors.core.spec.form import AS_WRITTEN, COMMON, OWN, REQUIRED, SecretName
from actors.core.spec.json_schema import schema_problems, value_problems
from actors.core.spec.kinds import Field, read_fields
from actors.core.spec.problems import Path, Place, Problems, TooManyProblemsError, shown
from actors.core.spec.template import fill
from actors.errors import TooLarge
from actors.limits import ARGV_BYTES, DURATION_MS, ENV_BYTES, SPEC_BYTES
from actors.model.codec import encode
from actors.model.spec import Concurrency, JobSpec, NodeLost, Trigger

__all__ = ["job_from_mapping", "parse_job", "read_job"]

Values = dict[str, Any]

_ALL: Final[dict[str, Field]] = {**COMMON, **OWN["command"], **OWN["container"], **OWN["js"]}
_KEYS: Final = {type_: {**COMMON, **own} for type_, own in OWN.items()}
_ELSEWHERE: Final = {
    type_: {
        key: f"{key} belongs to type {' and '.join(t for t in OWN if key in OWN[t])}, not {type_}"
        for key in _ALL.keys() - keys.keys()
    }
    for type_, keys in _KEYS.items()
}
# What JobSpec keeps of a container or a js job for their executors.
_BACKEND: Final = {
    "command": (),
    "container": ("image", "command", "entrypoint", "volumes", "pull", "registry_auth"),
    "js": ("module", "code", "function"),
}
_ONE_OF: Final = {
    "command": ("cmd", "shell"),
    "container": ("image",),
    "js": ("module", "code"),
}


def parse_job(source: bytes, *, now_ms: int, filename: str = "") -> JobSpec:
    """Read a job spec from YAML or JSON text; a `.json` filename means JSON.

    Raises InvalidSpec with all problems, each with line and column, and TooLarge.
    """
    document = read_document(source, filename, AS_WRITTEN)
    reading = document.reading
    return _accept(document.value, reading.problems, reading.place, now_ms)


def job_from_mapping(obj: dict[str, Any], *, now_ms: int) -> JobSpec:
    """Read a job spec from a mapping, such as a decoded JSON body.

    Raises InvalidSpec with all problems (line and column 0), and TooLarge.
    """
    return _accept(obj, Problems(), lambda path: (0, 0), now_ms)


def _accept(value: Any, problems: Problems, place: Place, now_ms: int) -> JobSpec:
    spec = None
    try:
        if type(value) is dict:
            spec = read_job(value, problems, now_ms)
        else:
            problems.add((), f"expected a mapping with name and type, got {shown(value)}")
    except TooManyProblemsError:
        spec = None  # those that were found are enough
    problems.raise_if_any(place)
    assert spec is not None, "without a problem there is a spec"
    size = len(encode(spec))
    if size > SPEC_BYTES:
        raise TooLarge(
            f"the spec with its input takes {size} bytes; SPEC_BYTES is {SPEC_BYTES}",
            remedy="Keep large inputs in files or artifacts that the job reads.",
        )
    return spec


def read_job(obj: Values, problems: Problems, now_ms: int) -> JobSpec | None:
    """Read a mapping; adds its problems and returns None when there are any."""
    type_ = obj.get("type")
    if type(type_) is not str or type_ not in OWN:
        type_ = ""  # of another type nothing is known: any key may be right
    values = read_fields(_KEYS.get(type_, _ALL), obj, (), problems, _ELSEWHERE.get(type_))
    for key in REQUIRED:
        if obj.get(key) is None:
            problems.add((key,), f"{key} is missing")
    if type_:
        _check_what_runs(obj, type_, problems)
        _take_own(values, type_, problems)
    _take_schemas(obj, values, problems)
    _take_keys(values, problems)
    _take_fan_out(values, problems)
    _check_trigger(obj, values, problems, now_ms)
    _take_environment(values, problems)
    values.setdefault(
        "node_lost", NodeLost(0, "requeue") if values.get("idempotent") else NodeLost()
    )
    return None if problems else JobSpec(**values)


def _check_what_runs(obj: Values, type_: str, problems: Problems) -> None:
    choices = _ONE_OF[type_]
    given = [key for key in choices if obj.get(key) is not None]
    if not given:
        problems.add((choices[0],), f"{' or '.join(choices)} is missing")
    elif len(given) > 1:
        problems.add((given[1],), f"{' and '.join(given)} stand together; give one of them")
    if type_ == "command" and "shell" in given and obj.get("args") is not None:
        problems.add(("args",), "args go with cmd; write them into the shell line")


def _take_own(values: Values, type_: str, problems: Problems) -> None:
    """Turn the keys of one type into argv or into what its executor will read."""
    if type_ != "command":
        own = {key: values.pop(key) for key in _BACKEND[type_] if key in values}
        values["backend"] = {
            key: list(item) if type(item) is tuple else item for key, item in own.items()
        }
        return
    shell, cmd, args = (values.pop(key, None) for key in ("shell", "cmd", "args"))
    if shell is not None:
        values["argv"] = ("/bin/sh", "-c", shell)
    elif cmd is not None:
        values["argv"] = (cmd, *(args or ()))
    if "umask" in values:
        values["umask"] = int(values["umask"], 8)
    if problems.clean("cmd", "args", "shell"):
        size = sum([len(item.encode()) + 1 for item in values.get("argv", ())])
        if size > ARGV_BYTES:
            path = ("args",) if shell is None else ("shell",)
            problems.add(path, f"the arguments take {size} bytes; ARGV_BYTES is {ARGV_BYTES}")


def _take_environment(values: Values, problems: Problems) -> None:
    """Part the variables that are secrets from the others, and hold these to their limit."""
    if "environment" not in values or not problems.clean("environment"):
        return
    given = values["environment"]
    values["secrets"] = {k: item.name for k, item in given.items() if type(item) is SecretName}
    values["environment"] = {k: item for k, item in given.items() if type(item) is str}
    size = sum([len(name) + len(item.encode()) + 2 for name, item in values["environment"].items()])
    if size > ENV_BYTES:
        problems.add(("environment",), f"it takes {size} bytes; ENV_BYTES is {ENV_BYTES}")


def _take_schemas(obj: Values, values: Values, problems: Problems) -> None:
    """Check both schemas, and the input by its own."""
    for key in ("input_schema", "output_schema"):
        if key in values and problems.clean(key):
            _add_found(schema_problems(values[key]), key, problems)
    values["has_input"] = "input" in obj
    if values.get("trigger", Trigger()).is_given_input:
        return  # each input is checked when it comes
    if "input_schema" in values and problems.clean("input", "input_schema"):
        if not values["has_input"]:
            problems.add(("input",), "input is missing; input_schema asks for it")
            return
        _add_found(value_problems(values["input_schema"], obj["input"]), "input", problems)


def _add_found(found: list[tuple[Path, str]], key: str, problems: Problems) -> None:
    """Add what a schema says below a key; a path may have several faults."""
    messages: dict[Path, str] = {}
    for path, message in dict.fromkeys(found):
        messages[path] = f"{messages[path]}; {message}" if path in messages else message
    for path, message in messages.items():
        problems.add((key, *path), message)


def _take_keys(values: Values, problems: Problems) -> None:
    """Resolve the keys of concurrency and idempotency by the input.

    What a trigger starts again and again resolves them each time, by the input of that time.
    """
    if not problems.clean("input"):
        return
    data = values.get("input")
    trigger = values.get("trigger", Trigger())
    if trigger.is_given_input:
        _leave_keys(values)
        return
    defines = trigger.defines
    seen: set[str] = set()
    entries = []
    for i, entry in enumerate(values.get("concurrency", ())):
        if entry is None:  # has a problem of its own
            continue
        path: Path = ("concurrency", i, "key")
        filled = fill(entry["key"], data, path, problems)
        entry["key"] = entry["key"] if defines else filled
        if entry["key"] in seen:
            problems.add(path, f"the key {shown(entry['key'])} stands here twice")
        seen.add(entry["key"])
        entries.append(Concurrency(**entry))
    values["concurrency"] = tuple(entries)
    if idempotency := values.pop("idempotency", None):
        path = ("idempotency", "key")
        filled = fill(idempotency["key"], data, path, problems)
        values["idempotency_key"] = idempotency["key"] if defines else filled
        if "ttl_ms" in idempotency:
            values["idempotency_ttl_ms"] = idempotency["ttl_ms"]


def _leave_keys(values: Values) -> None:
    """Keep the keys as they are: the input that fills them comes with each event or request."""
    entries = [entry for entry in values.get("concurrency", ()) if entry is not None]
    values["concurrency"] = tuple([Concurrency(**entry) for entry in entries])
    if idempotency := values.pop("idempotency", None):
        values["idempotency_key"] = idempotency["key"]
        if "ttl_ms" in idempotency:
            values["idempotency_ttl_ms"] = idempotency["ttl_ms"]


def _take_fan_out(values: Values, problems: Problems) -> None:
    """Resolve `80%` to a count, rounded up, and hold it against `tasks`."""
    needed = values.get("min_success")
    if needed is None or not problems.clean("tasks", "min_success"):
        return
    tasks = values.get("tasks", 1)
    if type(needed) is str:
        needed = -(-tasks * int(needed[:-1]) // 100)
    if needed > tasks:
        problems.add(("min_success",), f"more than there are tasks ({tasks})")
    values["min_success"] = needed


def _check_trigger(obj: Values, values: Values, problems: Problems, now_ms: int) -> None:
    trigger = values.get("trigger", Trigger())
    expiry = ("expires", "expires_secs", "expires_ms")
    if not problems.clean("trigger", *expiry):
        return
    if trigger.at_ms is not None and trigger.delay_ms is not None:
        problems.add(("trigger",), "at and delay stand together; give one of them")
        return
    wait_ms = trigger.delay_ms or 0 if trigger.at_ms is None else trigger.at_ms - now_ms
    if wait_ms > DURATION_MS:
        problems.add(("trigger", "at"), "more than ten years ahead")
    if 0 < values.get("expires_ms", 0) <= wait_ms:
        key = next(key for key in expiry if obj.get(key) is not None)
        problems.add((key,), "it expires before it is due")
