"""A pipeline's definition in its normal form, and the records that name it.

A definition is stored under the digest of its bytes, in chunks, and never changes: a run keeps the
one that it began with, whatever becomes of the pipeline. Fields are only ever appended.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Definition",
    "Gate",
    "InputFrom",
    "MapOver",
    "Pipeline",
    "PipelineSpec",
    "RunLimit",
    "StepSpec",
]


class Gate(msgspec.Struct, frozen=True, array_like=True):
    """A step that waits for somebody's approval; `timeout_ms` 0 waits for ever."""

    timeout_ms: int = 0
    on_timeout: Literal["approve", "reject"] = "reject"


class MapOver(msgspec.Struct, frozen=True, array_like=True):
    """A step that is made once for each item of a list: a list itself, or a template of one."""

    over: Any
    parallelism: int = 0  # 0: all at once
    min_success: int = -1  # how many must succeed; -1: all
    min_percent: int = 0  # the same as a share; 0: `min_success` says it


class InputFrom(msgspec.Struct, frozen=True, array_like=True):
    """A part of an earlier step's output that becomes (a part of) the input."""

    name: str  # the input's key that it becomes; "": the whole input
    job: str
    path: tuple[str | int, ...] = ()


class StepSpec(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One node of the graph: a job, a run of another pipeline, or a gate."""

    name: str
    job: dict[str, Any] = {}  # a job spec as it was written, its templates not filled in
    pipeline: str = ""
    gate: Gate | None = None
    needs: tuple[str, ...] = ()
    depends: str = ""
    condition: str = ""  # `if`
    input_from: tuple[InputFrom, ...] = ()
    map: MapOver | None = None
    continue_on_failure: bool = False
    is_final: bool = False  # one of `finally`


class RunLimit(msgspec.Struct, frozen=True, array_like=True):
    """At most `max` runs with the same key go at a time; `key` may hold templates of inputs."""

    max: int
    key: str = ""
    on_limit: Literal["queue", "cancel_running", "cancel_new", "fail"] = "queue"


class PipelineSpec(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A graph of steps, what goes in and what comes out."""

    name: str
    steps: tuple[StepSpec, ...]
    inputs: dict[str, Any] | None = None  # JSON Schema of an object
    outputs: dict[str, Any] = {}  # templates
    labels: dict[str, str] = {}
    concurrency: RunLimit | None = None
    timeout_ms: int = 0
    schedule: Any = None  # as it was written; what it means is in schedule/<name>
    trigger: Any = None  # likewise, in trigger/<name> or schedule/<name>


class Pipeline(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """pipeline/<name>: which definition is the present one."""

    definition: str  # its digest
    steps: int
    updated_ms: int
    principal: str = ""
    labels: dict[str, str] = {}
    warnings: tuple[str, ...] = ()


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """definition/<digest>: the head of its chunks, put again by whatever begins to refer to it."""

    name: str
    chunks: int
    size_bytes: int
