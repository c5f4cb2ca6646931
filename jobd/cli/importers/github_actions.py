"""Workflows of GitHub Actions: the commands of each job, at the workflow's own times."""

from __future__ import annotations

from typing import Any, Final

from jobd.cli.importers.imported import Imported, mapping, read_yaml

__all__ = ["read_workflow"]

_WORKFLOW: Final = {"concurrency", "defaults", "env", "jobs", "name", "on", "run-name"}
_JOB: Final = {
    "concurrency",
    "container",
    "continue-on-error",
    "env",
    "name",
    "needs",
    "runs-on",
    "steps",
    "timeout-minutes",
}
_STEP: Final = {"env", "id", "name", "run", "shell", "uses", "with", "working-directory"}


def read_workflow(text: bytes) -> Imported:
    """Return a job for each job of a workflow that runs commands."""
    made = Imported()
    for document in read_yaml(text):
        # YAML 1.1 reads the key `on` as true.
        keys: dict[Any, Any] = dict(document)
        workflow = {"on" if key is True else str(key): value for key, value in keys.items()}
        name = str(workflow.get("name") or "workflow")
        made.unknown(name, "", workflow, _WORKFLOW)
        for key, job in mapping(workflow.get("jobs")).items():
            _job(made, f"{name}-{key}", workflow, mapping(job), _trigger(made, name, workflow))
    return made


def _trigger(made: Imported, name: str, workflow: dict[str, Any]) -> dict[str, Any]:
    on = workflow.get("on")
    events = mapping(on) or dict.fromkeys(on if isinstance(on, list) else [on] if on else [])
    for event in events:
        if event not in ("schedule", "workflow_dispatch"):
            made.note(name, f"on.{event} has no equivalent here: an event or webhook can start it")
    crons = [mapping(each).get("cron") for each in events.get("schedule") or ()]
    if not crons:
        return {}
    return {"cron": crons[0] if len(crons) == 1 else crons, "overlap": "allow"}


def _job(
    made: Imported,
    name: str,
    workflow: dict[str, Any],
    job: dict[str, Any],
    trigger: dict[str, Any],
) -> None:
    made.unknown(name, "job.", job, _JOB)
    if job.get("runs-on"):
        made.note(name, f"runs-on {job['runs-on']}: give placement.labels if not any node will do")
    if job.get("needs"):
        made.note(name, "needs is left out: in a pipeline, its jobs would keep their order")
    script = _script(made, name, job)
    if not script:
        made.note(name, "it runs no command; left out")
        return
    environment = {**mapping(workflow.get("env")), **mapping(job.get("env"))}
    text = "\n".join([*map(str, environment.values()), script])
    if "${{" in text:
        made.note(name, "${{ ... }} is GitHub's; replace it before you apply")
    container = job.get("container")
    image = mapping(container).get("image") or (container if isinstance(container, str) else None)
    runs: dict[str, Any] = {"type": "command", "shell": script}
    if image:
        runs = {"type": "container", "image": image, "command": ["sh", "-ec", script]}
    group = job.get("concurrency") or workflow.get("concurrency")
    minutes = job.get("timeout-minutes")
    made.add(
        name,
        {
            **runs,
            "environment": {str(key): _text(value) for key, value in environment.items()},
            "concurrency": [_group(group)] if group else [],
            "timeout": f"{minutes}m" if isinstance(minutes, int) else "6h",
            "trigger": trigger,
        },
    )


def _script(made: Imported, name: str, job: dict[str, Any]) -> str:
    """The commands of the steps, one after the other, each in a shell of its own."""
    parts = []
    for number, step in enumerate(map(mapping, job.get("steps") or ()), 1):
        what = step.get("name") or step.get("id") or f"step {number}"
        made.unknown(name, f"{what}: ", step, _STEP)
        if step.get("uses"):
            made.note(name, f"{what}: the action {step['uses']} has no equivalent; left out")
            continue
        command = str(step.get("run", "")).strip()
        if not command:
            continue
        settings = "".join(
            f"export {key}={_quoted(_text(value))}\n"
            for key, value in mapping(step.get("env")).items()
        )
        directory = step.get("working-directory")
        place = f"cd {_quoted(str(directory))}\n" if directory else ""
        parts.append(f"# {what}\n(\n{place}{settings}{command}\n)")
    return "\n".join(["set -e", *parts]) + "\n" if parts else ""


def _group(group: Any) -> dict[str, Any]:
    key = str(mapping(group).get("group") or group)
    cancels = mapping(group).get("cancel-in-progress") is True
    return {"key": key.replace("${{", "<").replace("}}", ">"), "max": 1} | (
        {"on_limit": "cancel_running"} if cancels else {}
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
