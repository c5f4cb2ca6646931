"""Follow a run to its end: its steps as they come and go, its own exit code at the end."""

from __future__ import annotations

import time
from typing import Any, Final

from jobd.cli.client import Client
from jobd.cli.failure import CANCELLED, OUT_OF_TIME, WAITED_OUT, Failure
from jobd.cli.follow import WAIT_S
from jobd.cli.output import coloured, note
from jobd.cli.run_graph import COLOURS

__all__ = ["ENDED_RUN", "exit_as_run", "follow_run", "wait_for_run"]

ENDED_RUN: Final = frozenset(("succeeded", "succeeded_with_warnings", "failed", "cancelled"))
_TYPES: Final = "jobd:pipeline:*,jobd:step:*"
_STATES: Final = {"completed": "succeeded", "started": "running"}
_FAILED: Final = 1


def follow_run(client: Client, run_id: str, *, after: str) -> None:
    """Tell of the steps of a run until it has ended; `after` is a revision before its first."""
    query = {"types": _TYPES, "subject": f"run/{run_id}"}
    for name, _, event in client.stream("/events/stream", query, after=f"{int(after) - 1}-0"):
        if name == "gap":
            note("jobctl: some of the events are no longer kept")
        if name != "event":
            continue
        _, noun, word = event["type"].split(":")
        data = event["data"]
        if noun == "pipeline":
            if data["state"] in ENDED_RUN:
                note(f"run/{run_id} {coloured(data['state'], COLOURS.get(data['state']))}")
                return
            continue
        index = f"[{data['index']}]" if "index" in data else ""
        state = _STATES.get(word, word)
        about = data.get("job") or data.get("child") or data.get("reason", "")
        note(f"  {data['step']}{index} {coloured(state, COLOURS.get(state))} {about}".rstrip())


def wait_for_run(client: Client, run_id: str, *, timeout_s: float | None = None) -> dict[str, Any]:
    """Return a run once it has ended. Raises Failure when the time is over."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = WAIT_S if deadline is None else max(0.0, min(WAIT_S, deadline - time.monotonic()))
        run: dict[str, Any] = client.wait(f"/runs/{run_id}", wait=f"{int(left * 1_000)}ms")
        if run["state"] in ENDED_RUN:
            return run
        if deadline is not None and time.monotonic() >= deadline:
            raise Failure(
                f"run {run_id} is still {run['state']}",
                remedy=f"`jobctl runs graph {run_id}` shows what it waits for.",
                exit_code=WAITED_OUT,
            )


def exit_as_run(ended: dict[str, Any]) -> None:
    """Exit as a run did, saying why where it did not succeed."""
    state = ended["state"]
    if state in ("succeeded", "succeeded_with_warnings"):
        raise SystemExit(0)
    note(f"jobctl: run {ended['id']} {state}: {ended['detail'] or ended['reason']}")
    if state == "cancelled":
        raise SystemExit(CANCELLED)
    raise SystemExit(OUT_OF_TIME if ended["reason"] == "timeout" else _FAILED)
