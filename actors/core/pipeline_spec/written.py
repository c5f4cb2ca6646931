"""A definition as its user would write it: what is compared, shown and put out again."""

from __future__ import annotations

from typing import Any

from actors.core.dag.path import text_of_path
from actors.model.pipeline import PipelineSpec, StepSpec

__all__ = ["written_form"]


def written_form(spec: PipelineSpec) -> dict[str, Any]:
    """Return the mapping that reads as this definition; defaults are left out."""
    whole: dict[str, Any] = {"name": spec.name}
    if spec.schedule is not None:
        whole["schedule"] = spec.schedule
    if spec.trigger is not None:
        whole["trigger"] = spec.trigger
    if spec.labels:
        whole["labels"] = spec.labels
    if spec.inputs is not None:
        whole["inputs"] = spec.inputs
    if spec.timeout_ms:
        whole["timeout_ms"] = spec.timeout_ms
    if spec.concurrency is not None:
        limit = spec.concurrency
        whole["concurrency"] = {"max": limit.max, "on_limit": limit.on_limit}
        if limit.key:
            whole["concurrency"]["key"] = limit.key
    for key, is_final in (("jobs", False), ("finally", True)):
        steps = {s.name: _step(s) for s in spec.steps if s.is_final is is_final}
        if steps or key == "jobs":
            whole[key] = steps
    if spec.outputs:
        whole["outputs"] = spec.outputs
    return whole


def _step(step: StepSpec) -> dict[str, Any]:
    whole: dict[str, Any] = dict(step.job)
    if step.pipeline:
        whole["pipeline"] = step.pipeline
    if step.gate is not None:
        whole["gate"] = {"on_timeout": step.gate.on_timeout}
        if step.gate.timeout_ms:
            whole["gate"]["timeout_ms"] = step.gate.timeout_ms
    if step.needs:
        whole["needs"] = list(step.needs)
    if step.depends:
        whole["depends"] = step.depends
    if step.condition:
        whole["if"] = step.condition
    if step.input_from:
        parts = {
            part.name: {"job": part.job, "path": f"${text_of_path(part.path)}"}
            for part in step.input_from
        }
        whole["input_from"] = parts.get("", parts)
    if step.map is not None:
        over = step.map
        whole["map"] = {"over": over.over}
        if over.parallelism:
            whole["map"]["parallelism"] = over.parallelism
        if over.min_percent or over.min_success >= 0:
            share = f"{over.min_percent}%" if over.min_percent else over.min_success
            whole["map"]["min_success"] = share
    if step.continue_on_failure:
        whole["continue_on_failure"] = True
    return whole
