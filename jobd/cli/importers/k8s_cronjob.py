"""Kubernetes CronJobs, as `kubectl get cronjob -o yaml` or a manifest has them."""

from __future__ import annotations

from typing import Any, Final

from jobd.cli.importers.container import container_spec
from jobd.cli.importers.imported import Imported, mapping, read_yaml, seconds, whole

__all__ = ["read_cronjobs"]

_OVERLAP: Final = {"Allow": "allow", "Forbid": "skip", "Replace": "cancel_previous"}
_CRON: Final = {
    "concurrencyPolicy",
    "failedJobsHistoryLimit",
    "jobTemplate",
    "schedule",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "suspend",
    "timeZone",
}
_JOB: Final = {"activeDeadlineSeconds", "backoffLimit", "completions", "parallelism", "template"}
_POD: Final = {"containers", "nodeSelector", "restartPolicy", "volumes", "initContainers"}
_BACKOFF_LIMIT: Final = 6  # Kubernetes' own default


def read_cronjobs(text: bytes) -> Imported:
    """Return a schedule for each CronJob of a file."""
    made = Imported()
    for document in read_yaml(text):
        name = str(mapping(document.get("metadata")).get("name", "job"))
        if document.get("kind") != "CronJob":
            made.note(name, f"a {document.get('kind')} is no CronJob; left out")
            continue
        _cronjob(made, name, document)
    return made


def _cronjob(made: Imported, name: str, document: dict[str, Any]) -> None:
    spec = mapping(document.get("spec"))
    job = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    pod = mapping(mapping(job.get("template")).get("spec"))
    made.unknown(name, "spec.", spec, _CRON)
    made.unknown(name, "job.", job, _JOB)
    made.unknown(name, "pod.", pod, _POD)
    containers = [mapping(each) for each in pod.get("containers") or ()]
    if not containers:
        made.note(name, "it has no container; left out")
        return
    for other in (*containers[1:], *map(mapping, pod.get("initContainers") or ())):
        made.note(name, f"container {other.get('name')} beside the first; left out")
    if "timeZone" not in spec:
        made.note(name, "no timeZone: Kubernetes means its controller's own; here it is UTC")
    limit = whole(job.get("backoffLimit"), _BACKOFF_LIMIT)
    metadata = mapping(document.get("metadata"))
    made.add(
        name,
        {
            **container_spec(made, name, containers[0], pod.get("volumes") or []),
            "labels": {k: str(v) for k, v in mapping(metadata.get("labels")).items()},
            "placement": {"labels": mapping(pod.get("nodeSelector"))}
            if "nodeSelector" in pod
            else {},
            "tasks": job.get("completions"),
            "parallelism": job.get("parallelism") if job.get("completions") else None,
            "total_timeout": seconds(job.get("activeDeadlineSeconds")),
            "retry": {"max_attempts": limit + 1, "delay": "10s", "max_delay": "6m"},
            "trigger": {
                "cron": spec.get("schedule"),
                **({"timezone": spec["timeZone"]} if "timeZone" in spec else {}),
                "overlap": _OVERLAP.get(str(spec.get("concurrencyPolicy", "Allow")), "allow"),
                **_given(spec),
            },
        },
    )


def _given(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if deadline := seconds(spec.get("startingDeadlineSeconds")):
        found["starting_deadline"] = deadline
    if spec.get("suspend"):
        found["paused"] = True
    return found
