"""Hooks among the files of `apply`, `diff`, `plan` and `validate`."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from jobd.cli.client import Client, Refused
from jobd.cli.documents import Document, values_of

__all__ = ["apply_hook", "plan_hook", "stored_hook"]

_YAML: Final = {"Content-Type": "application/yaml"}
_ABSENT: Final = 404


def apply_hook(client: Client, document: Document) -> dict[str, Any]:
    """Put the hook of a document where it differs from what there is, and say what that changed."""
    name = str(values_of(document)["name"])
    before = stored_hook(client, name)
    known = before is not None and before["spec"] == values_of(document) and not before["disabled"]
    if not known:
        path = f"/hooks/{quote(name, safe='')}"
        client.request("PUT", path, body=document.text, headers=_YAML)
    return {
        "result": "unchanged" if known else "updated" if before is not None else "created",
        "name": name,
        "id": f"hook/{name}",
        "file": document.place,
    }


def plan_hook(client: Client, document: Document) -> dict[str, Any]:
    """Say what putting a hook would change, in the form of a job's plan."""
    spec = values_of(document)
    stored = stored_hook(client, spec["name"])
    differs = stored is not None and stored["spec"] != spec
    return {
        "file": document.place,
        "kind": "hook",
        "spec": spec,
        "state": "created" if stored is None else "updated" if differs else "unchanged",
        "fits": True,
        "reasons": [{"code": "hook", "message": f"on {spec['on']}"}],
        "nodes": [],
    }


def stored_hook(client: Client, name: str) -> dict[str, Any] | None:
    """Return a hook as it is stored, None where there is none."""
    try:
        found: dict[str, Any] = client.get(f"/hooks/{quote(name, safe='')}")
    except Refused as e:
        if e.status != _ABSENT:
            raise
        return None
    return found
