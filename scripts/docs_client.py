"""The reference page of the client library: `client.md`, from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import msgspec

from jobd.api import (
    actor_tree,
    client_keys,
    cluster,
    cluster_views,
    events,
    gateway,
    job_logs,
    job_plan,
    job_views,
    jobs,
    join_tokens,
    kv,
    message,
    node_views,
    pipelines,
    run_views,
    runs,
    schedule_preview,
    schedule_views,
    schedules,
    secrets,
    tokens,
)
from jobd.client import Client, follow, node_operations
from jobd.client.hook_sections import Hooks, Triggers
from jobd.client.pipeline_sections import Pipelines, Runs
from jobd.client.schedules import Schedules
from jobd.client.sections import KeyValues, Members, Secrets, Tokens

__all__ = ["client_page"]

HEAD = """# Client library

`jobd.client.Client` blocks in the caller's thread; `jobd.client.AsyncClient` has the same verbs
with `await`, and `async for` where this page says `Generator`. The tour is
[the client library](../guides/client.md), what is raised is in `actors.errors`
([errors](errors.md)).

"""
SECTIONS: tuple[tuple[str, type, str], ...] = (
    ("Client", Client, ""),
    ("client.kv", KeyValues, "kv."),
    ("client.secrets", Secrets, "secrets."),
    ("client.hooks", Hooks, "hooks."),
    ("client.triggers", Triggers, "triggers."),
    ("client.tokens", Tokens, "tokens."),
    ("client.members", Members, "members."),
    ("client.schedules", Schedules, "schedules."),
    ("client.pipelines", Pipelines, "pipelines."),
    ("client.runs", Runs, "runs."),
)
MODULES: tuple[ModuleType, ...] = (
    actor_tree,
    client_keys,
    cluster,
    cluster_views,
    events,
    follow,
    gateway,
    job_logs,
    job_plan,
    job_views,
    jobs,
    join_tokens,
    kv,
    message,
    node_operations,
    node_views,
    pipelines,
    run_views,
    runs,
    schedule_preview,
    schedule_views,
    schedules,
    secrets,
    tokens,
)
WIDTH = 96
PLUMBING = {"call", "fetch", "follow", "pages", "run"}  # what the verbs are made of


def client_page() -> str:
    """Return the body of docs/reference/client.md."""
    page = HEAD
    told = ""
    for title, kind, prefix in SECTIONS:
        page += f"## {title}\n\n{_prose(kind)}\n"
        if kind is Client:
            page += f"\n### Client(...)\n\n{_signature('Client', Client.__init__)}"
        for name, verb in _verbs(kind):
            signature = _signature(prefix + name, verb)
            told += signature
            page += f"\n### {prefix}{name}\n\n{signature}\n{_prose(verb)}\n"
        page += "\n"
    page += "## Answers\n\nTimes are RFC 3339 texts; what has not come yet is None.\n\n"
    page += "| answer | means | fields |\n|---|---|---|\n"
    for name, answer in sorted(_answers(told).items()):
        means = (answer.__doc__ or "").split("\n\n")[0]
        fields = " ".join(f"`{field}`" for field in _fields(answer))
        page += f"| `{name}` | {' '.join(means.split())} | {fields} |\n"
    return page


def _verbs(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public methods, a class's own before those of what it is made of."""
    for klass in kind.__mro__[:-1]:
        for name, verb in vars(klass).items():
            if inspect.isfunction(verb) and not name.startswith("_") and name not in PLUMBING:
                yield name, verb


def _prose(documented: Any) -> str:
    return inspect.cleandoc(documented.__doc__ or "")


def _signature(name: str, verb: Callable[..., Any]) -> str:
    """Return a signature as it is written, without `self`; a long one with a parameter a line."""
    signature = inspect.signature(verb)
    parameters: list[str] = []
    for parameter in list(signature.parameters.values())[1:]:
        named_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if named_only and not any(each.startswith("*") for each in parameters):
            parameters.append("*")
        parameters.append(_parameter(parameter))
    returned = re.sub(
        r"Generator\[(.+), None, None\]", r"Generator[\1]", signature.return_annotation
    )
    arrow = "" if verb.__name__ == "__init__" else f" -> {returned}"
    line = f"{name}({', '.join(parameters)}){arrow}"
    if len(line) > WIDTH:
        line = "\n".join((f"{name}(", *(f"    {each}," for each in parameters), f"){arrow}"))
    return f"```python\n{line}\n```\n"


def _parameter(parameter: inspect.Parameter) -> str:
    stars: dict[Any, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    text = f"{stars.get(parameter.kind, '')}{parameter.name}: {parameter.annotation}"
    has_default = parameter.default is not inspect.Parameter.empty
    return f"{text} = {parameter.default!r}" if has_default else text


def _answers(told: str) -> dict[str, type]:
    """Return the types that signatures name."""
    known = {
        name: each
        for module in MODULES
        for name, each in inspect.getmembers(module, inspect.isclass)
        if _fields(each)
    }
    return {name: known[name] for name in set(re.findall(r"\w+", told)) & set(known)}


def _fields(kind: type) -> tuple[str, ...]:
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    fields: tuple[str, ...] = getattr(kind, "_fields", ())
    return fields
