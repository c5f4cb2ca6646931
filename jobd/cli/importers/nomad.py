"""Nomad batch jobs, as JSON: `nomad job run -output FILE`, or `nomad job inspect NAME`."""

from __future__ import annotations

import json
from typing import Any, Final

from jobd.cli.failure import INVALID_SPEC, Failure
from jobd.cli.importers.imported import Imported, mapping, whole

__all__ = ["read_nomad"]

_NS_PER_MS: Final = 1_000_000
_COMMANDS: Final = ("exec", "raw_exec", "exec2")
_JOB: Final = {
    "Datacenters",
    "ID",
    "Meta",
    "Name",
    "Namespace",
    "Periodic",
    "Priority",
    "Region",
    "TaskGroups",
    "Type",
}
_GROUP: Final = {"Count", "EphemeralDisk", "Name", "RestartPolicy", "Tasks"}
_TASK: Final = {
    "Config",
    "Driver",
    "Env",
    "KillSignal",
    "KillTimeout",
    "LogConfig",
    "Name",
    "Resources",
    "RestartPolicy",
    "User",
}
_CONFIG: Final = {"args", "command", "entrypoint", "force_pull", "image", "volumes", "work_dir"}


def read_nomad(text: bytes) -> Imported:
    """Return a job for each task of a Nomad job. Raises Failure for HCL."""
    made = Imported()
    try:
        document = mapping(json.loads(text))
    except ValueError:
        raise Failure(
            "it is no JSON",
            remedy="Nomad turns HCL into it: `nomad job run -output FILE`.",
            exit_code=INVALID_SPEC,
        ) from None
    job = mapping(document.get("Job")) or document
    name = str(job.get("Name") or job.get("ID") or "job")
    if job.get("Type", "batch") not in ("batch", "sysbatch"):
        made.note(name, f"a job of type {job['Type']} runs for ever; left out")
        return made
    state = {key for key in job if key.endswith(("Index", "Time")) or key in _STATE}
    made.unknown(name, "job.", job, _JOB | state)
    for group in map(mapping, job.get("TaskGroups") or ()):
        made.unknown(name, "group.", group, _GROUP)
        tasks = [mapping(each) for each in group.get("Tasks") or ()]
        if len(tasks) > 1:
            made.note(name, "its tasks ran side by side; here each is a job of its own")
        for task in tasks:
            several = len(tasks) > 1 or len(job["TaskGroups"]) > 1
            _task(made, f"{name}-{task.get('Name')}" if several else name, job, group, task)
    return made


_STATE: Final = frozenset(
    {"Dispatched", "Stable", "Status", "StatusDescription", "Stop", "Version"}
)


def _task(
    made: Imported, name: str, job: dict[str, Any], group: dict[str, Any], task: dict[str, Any]
) -> None:
    made.unknown(name, "task.", task, _TASK)
    config, driver = mapping(task.get("Config")), str(task.get("Driver"))
    made.unknown(name, "config.", config, _CONFIG)
    args = [str(each) for each in config.get("args") or ()]
    if driver == "docker":
        command = [str(config["command"])] if config.get("command") else []
        runs: dict[str, Any] = {
            "type": "container",
            "image": config.get("image"),
            "entrypoint": config.get("entrypoint"),
            "command": command + args,
            "pull": "always" if config.get("force_pull") else None,
            "volumes": [_volume(str(each)) for each in config.get("volumes") or ()],
        }
    elif driver in _COMMANDS:
        runs = {"type": "command", "cmd": config.get("command"), "args": args}
    else:
        made.note(name, f"the driver {driver} has no equivalent; left out")
        return
    if "${" in json.dumps([config, task.get("Env")]):
        made.note(name, "${...} is Nomad's interpolation; here it is text")
    resources = mapping(task.get("Resources"))
    if resources.get("CPU"):
        made.note(name, f"CPU {resources['CPU']} is in MHz; say resources.cpu in cores")
    restart = mapping(task.get("RestartPolicy")) or mapping(group.get("RestartPolicy"))
    signal = str(task.get("KillSignal") or "").removeprefix("SIG")
    made.add(
        name,
        {
            **runs,
            "cwd": config.get("work_dir"),
            "user": task.get("User"),
            "environment": {k: str(v) for k, v in mapping(task.get("Env")).items()},
            "kill_signal": signal,
            "kill_grace_ms": whole(task.get("KillTimeout")) // _NS_PER_MS or None,
            "resources": {"memory": f"{resources['MemoryMB']}MiB"}
            if resources.get("MemoryMB")
            else {},
            "priority": job.get("Priority"),
            "tasks": group.get("Count") if whole(group.get("Count")) > 1 else None,
            "retry": _retry(restart),
            "trigger": _trigger(mapping(job.get("Periodic"))),
        },
    )


def _retry(policy: dict[str, Any]) -> dict[str, Any]:
    attempts = whole(policy.get("Attempts"))
    if not attempts:
        return {}
    delay_ms = whole(policy.get("Delay")) // _NS_PER_MS
    return {"max_attempts": attempts + 1, "backoff": "constant", "delay_ms": delay_ms}


def _trigger(periodic: dict[str, Any]) -> dict[str, Any]:
    specs = periodic.get("Specs") or ([periodic["Spec"]] if periodic.get("Spec") else [])
    if not specs:
        return {}
    zone = periodic.get("TimeZone") or "UTC"
    return {
        "cron": specs[0] if len(specs) == 1 else specs,
        "timezone": zone,
        "overlap": "skip" if periodic.get("ProhibitOverlap") else "allow",
        **({"paused": True} if periodic.get("Enabled") is False else {}),
    }


def _volume(text: str) -> dict[str, Any]:
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    return {"source": source, "target": target} | ({"read_only": True} if mode == "ro" else {})
