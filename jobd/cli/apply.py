"""jobctl apply, diff, plan and validate: jobs, schedules, pipelines and hooks kept as files.

A job is one run of its spec, so to apply the same content again makes no second one: the
idempotency key is the content's digest, for as long as the node keeps keys (IDEMPOTENCY_TTL_S).
A schedule is put as it is in its file, and is what it was when that changes nothing.
Content is what the file says, not how: comments, the order of keys and YAML or JSON don't matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import click

from jobd.cli.apply_hook import apply_hook, plan_hook, stored_hook
from jobd.cli.apply_pipeline import apply_pipeline, plan_pipeline, stored_pipeline
from jobd.cli.client import Client, Refused
from jobd.cli.documents import (
    Document,
    check,
    file_option,
    is_valid,
    kind_of,
    read_documents,
    values_of,
)
from jobd.cli.failure import INVALID_SPEC, Failure
from jobd.cli.output import (
    Column,
    coloured,
    note,
    note_problems,
    output_option,
    print_items,
    print_lines,
)
from jobd.cli.progress import StatusLine
from jobd.cli.schedule_file import put_schedule, recurs, schedule_spec
from jobd.cli.session import Session, pass_session

__all__ = ["apply", "diff", "plan", "validate"]

DIFFERENT: Final = 1
YAML: Final = {"Content-Type": "application/yaml"}
_APPLIED: Final[tuple[Column, ...]] = (
    ("RESULT", lambda item: item["result"]),
    ("NAME", lambda item: item["name"]),
    ("ID", lambda item: item["id"]),
    ("FILE", lambda item: item["file"]),
)


@click.command()
@file_option
@output_option
@pass_session
def apply(session: Session, files: tuple[str, ...], form: str) -> None:
    """Create the jobs of files, each content once; put their schedules, pipelines and
    hooks.

    What was applied before is `unchanged`. A spec that is wrong or refused is told with its place;
    the others are applied.
    """
    applied: list[dict[str, Any]] = []
    try:
        for item in _each(read_documents(files), lambda each: _apply(session.client, each)):
            applied.append(item)  # noqa: PERF402 - what was applied is told though the rest fails
    finally:
        _print_applied(form, applied)


def _print_applied(form: str, applied: list[dict[str, Any]]) -> None:
    """Print what was applied; only a job's id doesn't say what it is of."""
    if form == "name":
        print_lines(item["id"] if "/" in item["id"] else f"job/{item['id']}" for item in applied)
    else:
        print_items(form, {"items": applied}, kind="job", columns=_APPLIED)


@click.command()
@file_option
def validate(files: tuple[str, ...]) -> None:
    """Check the specs of files; no node is asked.

    Everything that is wrong is told with its place, and the exit code is 78.
    """
    documents = read_documents(files)
    check(documents)
    note(f"{len(documents)} spec{'s are' if len(documents) > 1 else ' is'} valid")


@click.command()
@file_option
@pass_session
def diff(session: Session, files: tuple[str, ...]) -> None:
    """Compare files with the newest jobs, or the pipelines, of their names.

    In normal form, as a unified diff. The exit code is 1 when there is a difference.
    """
    differ = False
    for lines in _each(read_documents(files), lambda each: _diff(session.client, each)):
        print_lines(lines)
        differ = differ or bool(lines)
    if differ:
        raise SystemExit(DIFFERENT)


@click.command()
@file_option
@output_option
@pass_session
def plan(session: Session, files: tuple[str, ...], form: str) -> None:
    """Say what the jobs and pipelines of files would do now; none is made.

    The state each would be in and what it would wait for, what each node lacks for it, and its spec
    in normal form.
    """
    plans = _each(read_documents(files), lambda each: _plan(session.client, each))
    if form == "table":
        for item in plans:
            print_lines(_plan_lines(item))
        return
    named = [{"name": item["spec"]["name"], **item} for item in plans]
    print_items(form, {"items": named}, kind="job", columns=_PLANNED, key="name")


_PLANNED: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("STATE", lambda item: item["state"]),
    ("FITS", lambda item: "yes" if item["fits"] else "no"),
    ("WHY", lambda item: item["reasons"][0]["message"]),
    ("FILE", lambda item: item["file"]),
)


def _each(documents: Sequence[Document], do: Callable[[Document], Any]) -> Iterator[Any]:
    """Yield what is done with each valid document; raise Failure behind the last if any failed."""
    line, codes = StatusLine(), []
    for number, document in enumerate(documents, 1):
        if not is_valid(document):
            codes.append(INVALID_SPEC)
            continue
        line.show(f"{number} of {len(documents)}: {document.place}")
        try:
            done = do(document)
        except Refused as e:
            line.clear()
            note_problems(document.file, e.problems)
            note(f"{document.place}: {e.cause}")
            codes.append(e.exit_code)
        else:
            line.clear()
            yield done
    if codes:
        raise Failure(
            f"{len(codes)} of {len(documents)} specs failed",
            remedy="The lines above say where and why.",
            exit_code=codes[0],
        )


def _apply(client: Client, document: Document) -> dict[str, Any]:
    kind = kind_of(document)
    if kind != "job":
        return (apply_pipeline if kind == "pipeline" else apply_hook)(client, document)
    values = values_of(document)
    if recurs(values):
        return {"file": document.place, **put_schedule(client, values["name"], document.text)}
    body = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    key = f"apply-{hashlib.sha256(body).hexdigest()[:32]}"
    headers = {"Content-Type": "application/json"}
    answer = client.submit("/jobs", body=body, headers=headers, key=key)
    known = answer.headers["Idempotent-Replayed"] == "true"
    return {
        "result": "unchanged" if known else "created",
        "name": values["name"],
        "id": answer.json["id"],
        "file": document.place,
    }


def _plan(client: Client, document: Document) -> dict[str, Any]:
    kind = kind_of(document)
    if kind != "job":
        return (_pipeline_plan if kind == "pipeline" else plan_hook)(client, document)
    answer = client.request("POST", "/jobs/plan", body=document.text, headers=YAML)
    return {"file": document.place, **answer.json}


def _pipeline_plan(client: Client, document: Document) -> dict[str, Any]:
    """Say what putting a pipeline would change, in the form of a job's plan."""
    found = plan_pipeline(client, document)
    stored = stored_pipeline(client, found["spec"]["name"])
    state = "created" if stored is None else "updated" if found["differs"] else "unchanged"
    message = f"{found['steps']} steps, {len(found['warnings'])} warnings"
    return {
        "file": document.place,
        "kind": "pipeline",
        "spec": found["spec"],
        "state": state,
        "fits": True,
        "reasons": [{"code": "pipeline", "message": message}],
        "nodes": [],
    }


def _diff(client: Client, document: Document) -> list[str]:
    if kind_of(document) == "pipeline":
        spec = plan_pipeline(client, document)["spec"]
        stored = stored_pipeline(client, spec["name"])
        if stored is None:
            return _compared([], spec, f"no pipeline {spec['name']}", document)
        return _compared(_yaml(stored["spec"]), spec, f"pipeline/{spec['name']}", document)
    spec = _plan(client, document)["spec"]
    if kind_of(document) == "hook":
        stored = stored_hook(client, spec["name"])
        old_hook = _yaml(stored["spec"]) if stored is not None else []
        return _compared(old_hook, spec, f"hook/{spec['name']}", document)
    before, old = f"no job {spec['name']}", []
    if "recurrence" in spec.get("trigger", {}):
        before, known = schedule_spec(client, spec)
        newest, old = [], _yaml(known) if known is not None else []
    else:
        newest = client.get("/jobs", name=spec["name"], limit=1)["items"]
    if newest:
        job = client.get(f"/jobs/{newest[0]['id']}")
        before, old = f"job/{job['id']}", _yaml(job["spec"])
    return _compared(old, spec, before, document)


def _compared(old: list[str], spec: Any, before: str, document: Document) -> list[str]:
    import difflib

    lines = difflib.unified_diff(old, _yaml(spec), before, document.place, lineterm="")
    return [coloured(line, _COLOURS.get(line[:1])) for line in lines]


_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


def _plan_lines(item: dict[str, Any]) -> Iterator[str]:
    spec = item["spec"]
    kind = item.get("kind", "job")
    yield f"{item['file']}: {kind} {spec['name']} would be {item['state']}"
    for reason in item["reasons"]:
        yield f"  {reason['message']}"
    for node in item["nodes"]:
        lacks = "; ".join(reason["message"] for reason in node["reasons"])
        yield f"  node {node['name']}: {lacks or 'fits'}"
    yield from (f"    {line}" for line in _yaml(spec))


def _yaml(value: Any) -> list[str]:
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True)).splitlines()
