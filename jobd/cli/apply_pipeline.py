"""Pipelines among the files of `apply`, `diff`, `plan` and `validate`."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from jobd.cli.client import Client, Refused
from jobd.cli.documents import Document, values_of
from jobd.cli.output import note_problems

__all__ = ["apply_pipeline", "plan_pipeline", "stored_pipeline"]

_YAML: Final = {"Content-Type": "application/yaml"}
_ABSENT: Final = 404


def apply_pipeline(client: Client, document: Document) -> dict[str, Any]:
    """Put the pipeline of a document and say what that changed; warnings are told."""
    name = str(values_of(document)["name"])
    before = stored_pipeline(client, name)
    answer = client.request("PUT", _path(name), body=document.text, headers=_YAML).json
    note_problems(document.file, answer["warnings"])
    known = before is not None and before["revision"] == answer["revision"]
    return {
        "result": "unchanged" if known else "updated" if before is not None else "created",
        "name": name,
        "id": f"pipeline/{name}",
        "file": document.place,
    }


def plan_pipeline(client: Client, document: Document) -> dict[str, Any]:
    """Return what the node makes of a pipeline; warnings are told."""
    answer: dict[str, Any] = client.request(
        "POST", "/pipelines/validate", body=document.text, headers=_YAML
    ).json
    note_problems(document.file, answer["warnings"])
    return answer


def stored_pipeline(client: Client, name: str) -> dict[str, Any] | None:
    """Return a pipeline as it is stored, None where there is none."""
    try:
        found: dict[str, Any] = client.get(_path(name))
    except Refused as e:
        if e.status != _ABSENT:
            raise
        return None
    return found


def _path(name: str) -> str:
    return f"/pipelines/{quote(name, safe='')}"
