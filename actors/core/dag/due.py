"""When time itself moves a run: its timeout, and those of its gates."""

from __future__ import annotations

from actors.core.dag.definition import plan_of
from actors.core.view import View
from actors.model import keys
from actors.model.run import RUN_TERMINAL, Run

__all__ = ["run_due_at", "step_due_at"]


def run_due_at(view: View, run_id: str) -> int | None:
    """When a run's time is over (Unix milliseconds), None where nothing is ahead."""
    entry = view.get(keys.run(run_id))
    if entry is None:
        return None
    run: Run = entry.noun
    if run.state in RUN_TERMINAL or run.stop_ms or not run.started_ms:
        return None
    plan = plan_of(view, run.definition)
    if plan is None or not plan.spec.timeout_ms:
        return None
    return run.started_ms + plan.spec.timeout_ms


def step_due_at(view: View, key: str) -> int | None:
    """When a gate's time is over, None for any other step."""
    entry = view.get(key)
    if entry is None or entry.noun.state != "waiting" or not entry.noun.due_ms:
        return None
    return int(entry.noun.due_ms)
