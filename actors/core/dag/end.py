"""End a run: what it comes to, what it puts out, and what it gives back."""

from __future__ import annotations

from typing import Any

import msgspec

from actors import limits
from actors.core.dag.draft import Draft
from actors.core.dag.states import move_run
from actors.core.dag.stop import TIMEOUT
from actors.core.dag.template import TemplateError, fill
from actors.core.job.work import brief
from actors.model.run import RunState

__all__ = ["end_run"]

_WORDS: dict[RunState, str] = {
    "succeeded": "completed",
    "succeeded_with_warnings": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


def end_run(draft: Draft) -> None:
    """Put the end of a run whose steps have all ended."""
    state, reason, detail = _verdict(draft)
    outputs = None
    if state in ("succeeded", "succeeded_with_warnings") and draft.plan.spec.outputs:
        try:
            outputs = _outputs(draft, state)
        except TemplateError as error:
            state, reason, detail = "failed", "outputs", str(error)
    if draft.run.slot:
        draft.delete(draft.run.slot)
    ended = move_run(
        draft.run,
        "end",
        state,
        now_ms=draft.now_ms,
        reason=reason,
        detail=brief(detail),
        outputs=outputs,
    )
    draft.put_run(ended, _WORDS[state])


def _verdict(draft: Draft) -> tuple[RunState, str, str]:
    """Return what the steps come to. A stop counts only if it kept a step from its own end."""
    nodes, steps, run = draft.plan.graph.nodes, draft.steps, draft.run
    if run.stop_ms and any(steps[name].state == "cancelled" for name in nodes):
        if run.stop_reason == TIMEOUT:
            most = f"it took longer than {draft.plan.spec.timeout_ms} ms"
            return "failed", TIMEOUT, most
        return "cancelled", "cancelled", run.stop_reason
    broken = [name for name in nodes if steps[name].state in ("failed", "cancelled")]
    fatal = [name for name in broken if not nodes[name].spec.continue_on_failure]
    if fatal:
        first = steps[fatal[0]]
        why = f"{first.reason}: {first.detail}" if first.detail else first.reason
        return "failed", "step", f"{fatal[0]} {first.state} ({why})"
    warned = [name for name in nodes if steps[name].warned or name in broken]
    if warned:
        return "succeeded_with_warnings", "step", f"passed over: {', '.join(warned[:8])}"
    return "succeeded", "", ""


def _outputs(draft: Draft, state: RunState) -> dict[str, Any]:
    """Fill the pipeline's outputs in. Raises TemplateError."""
    outputs: dict[str, Any] = fill(draft.plan.spec.outputs, draft.values(state).resolve)
    size = len(msgspec.json.encode(outputs))
    if size > limits.INLINE_OUTPUT_BYTES:
        most = limits.INLINE_OUTPUT_BYTES
        raise TemplateError(f"the outputs take {size} bytes; INLINE_OUTPUT_BYTES is {most}")
    return outputs
