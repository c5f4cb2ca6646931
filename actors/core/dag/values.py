"""What the names in a run's templates and conditions stand for.

Rules of this file:
V1  Only ended steps have outputs, and outputs never change: the same name means the same value at
    whatever node and whenever it is asked for.
V2  The output of a step that did not succeed is null, so that conditions and `finally` may ask.
V3  What is not there in an output that is there is an error in a template, and null in `if`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from actors import limits
from actors.core.dag.definition import Plan
from actors.core.dag.path import MISSING, Path, follow, text_of_path
from actors.core.dag.template import Ref, TemplateError, read_ref
from actors.core.view import View
from actors.model import keys
from actors.model.job import Output
from actors.model.run import STEP_TERMINAL, Run, Step

__all__ = ["Values", "iso"]

_NO_ITEM: Final[Any] = object()


def iso(ms: int) -> str:
    """Return a time in RFC 3339, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


class Values:
    """Resolves names for one run in one view; outputs that were read are kept."""

    def __init__(
        self, view: View, run_id: str, run: Run, plan: Plan, steps: dict[str, Step], state: str = ""
    ) -> None:
        """`steps` may be ahead of the view by what is decided now; `state` is the run's so far."""
        self._view = view
        self._run_id = run_id
        self._run = run
        self._plan = plan
        self._steps = steps
        self._state = state or run.state
        self._outputs: dict[str, Any] = {}
        self.item: Any = _NO_ITEM
        self.index = -1

    def lookup(self, name: str) -> Any:
        """Return what a name in `if` stands for; null where there is nothing (V3)."""
        ref = read_ref(name)
        assert ref is not None, "names are checked when a definition is read"
        try:
            return self.resolve(ref)
        except TemplateError:
            return None

    def resolve(self, ref: Ref) -> Any:
        """Return what a hole stands for. Raises TemplateError."""
        match ref.root:
            case "inputs":
                found = follow(self._run.inputs, ref.path)
                return None if found is MISSING else found
            case "run":
                return self._of_run(ref.part)
            case "map":
                return self.index
            case "item":
                found = follow(self.item, ref.path)
                if found is MISSING:
                    raise TemplateError(f"item {self.index} has no {text_of_path(ref.path)}")
                return found
        return self._of_step(ref)

    def _of_run(self, part: str) -> Any:
        match part:
            case "pipeline":
                return self._run.pipeline
            case "state":
                return self._state
            case "created_at":
                return iso(self._run.created_ms)
        return self._run_id

    def _of_step(self, ref: Ref) -> Any:
        step = self._steps.get(ref.name)
        match ref.part:
            case "state":
                return step.state if step is not None else None
            case "job":
                return step.job or None if step is not None else None
            case "run":
                return step.run or None if step is not None else None
        return self.part_of(ref.name, ref.path)

    def part_of(self, name: str, path: Path) -> Any:
        """Return what is at a path of a step's output. Raises TemplateError."""
        step = self._steps.get(name)
        if step is None or step.state != "succeeded":
            return None
        if name not in self._outputs:
            self._outputs[name] = self._read(name, step)
        found = follow(self._outputs[name], path)
        if found is MISSING:
            what = "nothing" if self._outputs[name] is None else f"no {text_of_path(path)}"
            raise TemplateError(f"the output of {name} has {what}")
        return found

    def _read(self, name: str, step: Step) -> Any:
        if step.members >= 0:
            return [self._of_member(name, step, index) for index in range(step.members)]
        if step.run:
            child = self._view.get(keys.run(step.run))
            return child.noun.outputs if child is not None else None
        if not step.job:
            return {"approved_by": step.by, "comment": step.detail} if step.by else None
        return self._of_job(name, step.job)

    def _of_member(self, name: str, step: Step, index: int) -> Any:
        """The output of one item, null where it did not succeed.

        The record may be behind: that its work has ended is perhaps taken in only now. What did not
        succeed has no output.
        """
        entry = self._view.get(keys.step(step.reused or self._run_id, name, index))
        return self._read(name, entry.noun) if entry is not None else None

    def _of_job(self, name: str, job_id: str) -> Any:
        entry = self._view.get(keys.job(job_id))
        if entry is not None and entry.noun.tasks > 1:
            tasks = range(entry.noun.tasks)
            outputs = [self._view.get(keys.output(job_id, task)) for task in tasks]
            return [None if each is None else _value(name, each.noun) for each in outputs]
        output = self._view.get(keys.output(job_id, 0))
        return None if output is None else _value(name, output.noun)

    def has_ended(self, name: str) -> bool:
        """Say whether a step has ended."""
        step = self._steps.get(name)
        return step is not None and step.state in STEP_TERMINAL


def _value(name: str, output: Output) -> Any:
    if output.json is None:
        raise TemplateError(
            f"the output of {name} takes {output.size_bytes} bytes and is an artifact; what other"
            f" steps take has at most {limits.INLINE_OUTPUT_BYTES} (INLINE_OUTPUT_BYTES)"
        )
    return msgspec.json.decode(output.json)
