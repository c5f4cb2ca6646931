"""Cloud Run jobs, as `gcloud run jobs describe NAME --format=export` prints them."""

from __future__ import annotations

from typing import Any, Final

from jobd.cli.importers.container import container_spec
from jobd.cli.importers.imported import Imported, mapping, read_yaml, seconds, whole

__all__ = ["read_cloud_run"]

_EXECUTION: Final = {"parallelism", "taskCount", "template"}
_TASK: Final = {"containers", "maxRetries", "timeoutSeconds", "volumes"}
_RETRIES: Final = 3  # Cloud Run's own defaults
_TIMEOUT_S: Final = 600


def read_cloud_run(text: bytes) -> Imported:
    """Return a job for each job of a file."""
    made = Imported()
    for document in read_yaml(text):
        name = str(mapping(document.get("metadata")).get("name", "job"))
        if document.get("kind") != "Job" or "run.googleapis.com" not in str(
            document.get("apiVersion")
        ):
            made.note(name, f"a {document.get('kind')} is no Cloud Run job; left out")
            continue
        _job(made, name, document)
    return made


def _job(made: Imported, name: str, document: dict[str, Any]) -> None:
    execution = mapping(mapping(mapping(document.get("spec")).get("template")).get("spec"))
    task = mapping(mapping(execution.get("template")).get("spec"))
    made.unknown(name, "execution.", execution, _EXECUTION)
    made.unknown(name, "task.", task, _TASK)
    containers = [mapping(each) for each in task.get("containers") or ()]
    if not containers:
        made.note(name, "it has no container; left out")
        return
    for other in containers[1:]:
        made.note(name, f"container {other.get('name')} beside the first; left out")
    made.note(name, "no trigger is in the file: add the cron of its Cloud Scheduler job")
    made.add(
        name,
        {
            **container_spec(made, name, containers[0], task.get("volumes") or []),
            "tasks": execution.get("taskCount"),
            "parallelism": execution.get("parallelism"),
            "timeout": seconds(task.get("timeoutSeconds", _TIMEOUT_S)),
            "retry": {"max_attempts": whole(task.get("maxRetries"), _RETRIES) + 1},
        },
    )
