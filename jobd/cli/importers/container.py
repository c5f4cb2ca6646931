"""Containers as Kubernetes writes them, which Cloud Run shares."""

from __future__ import annotations

import re
from typing import Any, Final

from jobd.cli.importers.imported import Imported, mapping

__all__ = ["container_spec"]

_PULL: Final = {"Always": "always", "IfNotPresent": "missing", "Never": "never"}
_CPU: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}|m)?")
_MEMORY: Final = re.compile(r"[0-9]{1,15}([KMGT]i|[kMGT])?")
_KNOWN: Final = {
    "args",
    "command",
    "env",
    "image",
    "imagePullPolicy",
    "name",
    "resources",
    "volumeMounts",
    "workingDir",
}


def container_spec(
    made: Imported, about: str, container: dict[str, Any], volumes: list[Any]
) -> dict[str, Any]:
    """Return the keys of a container job; what has no equivalent is noted."""
    made.unknown(about, "container.", container, _KNOWN)
    resources = mapping(container.get("resources"))
    asked = mapping(resources.get("requests")) or mapping(resources.get("limits"))
    return {
        "type": "container",
        "image": container.get("image"),
        "entrypoint": [str(word) for word in container.get("command") or ()],
        "command": [str(word) for word in container.get("args") or ()],
        "cwd": container.get("workingDir"),
        "pull": _PULL.get(str(container.get("imagePullPolicy"))),
        "environment": _environment(made, about, container.get("env") or []),
        "volumes": _volumes(made, about, container.get("volumeMounts") or [], volumes),
        "resources": _resources(made, about, asked),
    }


def _environment(made: Imported, about: str, given: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in map(mapping, given):
        name, source = str(entry.get("name")), mapping(entry.get("valueFrom"))
        reference = mapping(source.get("secretKeyRef"))
        if reference:
            secret = f"{reference.get('name')}-{reference.get('key')}".lower().replace("_", "-")
            found[name] = {"secret": secret}
            made.note(about, f"put the secret of {name}: `jobctl secret put {secret}`")
        elif source:
            made.note(about, f"env {name}: valueFrom {', '.join(source)} has no equivalent")
        else:
            found[name] = str(entry.get("value", ""))
    return found


def _volumes(
    made: Imported, about: str, mounts: list[Any], volumes: list[Any]
) -> list[dict[str, Any]]:
    paths = {
        each.get("name"): mapping(each.get("hostPath")).get("path")
        for each in map(mapping, volumes)
    }
    found = []
    for mount in map(mapping, mounts):
        source = paths.get(mount.get("name"))
        if source is None:
            made.note(about, f"volume {mount.get('name')} is no path of a node; left out")
            continue
        read_only = {"read_only": True} if mount.get("readOnly") else {}
        found.append({"source": source, "target": mount.get("mountPath"), **read_only})
    return found


def _resources(made: Imported, about: str, asked: dict[str, Any]) -> dict[str, Any]:
    made.unknown(about, "resources.", asked, {"cpu", "memory"})
    found: dict[str, Any] = {}
    cpu, memory = str(asked.get("cpu", "")), str(asked.get("memory", ""))
    if _CPU.fullmatch(cpu):
        found["cpu"] = int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    elif cpu:
        made.note(about, f"cpu {cpu} is not understood")
    if _MEMORY.fullmatch(memory):
        found["memory"] = f"{memory}B"
    elif memory:
        made.note(about, f"memory {memory} is not understood")
    return found
