"""Follow a job to its end: its output live, its own exit code at the end.

The job's stdout goes to stdout and its stderr to stderr, byte for byte. A node that restarts under
it is waited for; the stream goes on behind the last record that came.
"""

from __future__ import annotations

import base64
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from jobd.cli import failure
from jobd.cli.client import Client
from jobd.cli.failure import Failure
from jobd.cli.output import note
from jobd.cli.progress import telling_why

__all__ = [
    "cancelling_on_interrupt",
    "exit_as",
    "follow_log",
    "leaving_on_interrupt",
    "wait_for",
    "write_record",
]

WAIT_S: Final = 30  # of one long poll; the node's limit is above
_ENDED: Final = frozenset(("succeeded", "failed", "cancelled", "expired"))


def follow_log(
    client: Client, job_id: str, *, attempt: int = 0, task: int | None = None, since: str = ""
) -> dict[str, Any]:
    """Copy a job's log until the job is over; return the job as it ended.

    `attempt` is the first one to tell, 0 the last there is. Until the first output comes, a
    terminal is told what the job waits for.
    """
    query = {"attempt": attempt, "task": task, "since": since}
    with telling_why(client, job_id) as line:
        for event, _, data in client.stream(f"/jobs/{job_id}/logs/stream", query):
            line.close()
            if event == "log":
                write_record(data)
            elif event == "gap":
                note(f"jobctl: lines {data['from']} to {data['to'] - 1} of the log are lost")
            elif event == "unreachable":
                note(f"jobctl: attempt {data['attempt']}: {data['message']}")
            elif event == "end":
                ended: dict[str, Any] = data
                return ended
    raise AssertionError("a stream ends with an end or a failure")


def write_record(record: dict[str, Any]) -> None:
    """Write a record of the API to where the job wrote it."""
    data = base64.b64decode(record["base64"]) if "base64" in record else record["text"].encode()
    stdout = record["stream"] == "stdout"
    _write(sys.stdout.buffer if stdout else sys.stderr.buffer, data)
    if record.get("truncated"):
        note("jobctl: the job wrote more than is kept; the rest is dropped")


def wait_for(
    client: Client, job_id: str, *, until: str = "terminal", timeout_s: float | None = None
) -> dict[str, Any]:
    """Return the job once it has ended, or runs. Raises Failure when the time is over.

    Meanwhile a terminal is told how it stands.
    """
    with telling_why(client, job_id):
        return _wait_for(client, job_id, until, timeout_s)


def _wait_for(client: Client, job_id: str, until: str, timeout_s: float | None) -> dict[str, Any]:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    reached = _ENDED if until == "terminal" else _ENDED | {"running"}
    while True:
        left = WAIT_S if deadline is None else max(0.0, min(WAIT_S, deadline - time.monotonic()))
        job: dict[str, Any] = client.wait(
            f"/jobs/{job_id}", wait=f"{int(left * 1_000)}ms", until=until
        )
        if job["state"] in reached:
            return job
        if deadline is not None and time.monotonic() >= deadline:
            raise Failure(
                f"job {job_id} is still {job['state']}",
                remedy=f"`jobctl job why {job_id}` says what it waits for.",
                exit_code=failure.WAITED_OUT,
            )


def exit_as(ended: dict[str, Any]) -> None:
    """Exit as the job did, saying why where its code alone does not."""
    code = failure.of_job(ended)
    if code and ended.get("reason") not in (None, "exit"):
        why = ended.get("detail") or ended["reason"]
        note(f"jobctl: job {ended['id']} {ended['state']}: {why}")
    raise SystemExit(code)


@contextmanager
def cancelling_on_interrupt(client: Client, job_id: str) -> Iterator[None]:
    """Ctrl-C cancels the job and goes on following it; once more leaves it.

    The handler does not raise the first time, so a record that is being read is not torn.
    """

    def cancel() -> None:
        try:
            client.request("POST", f"/jobs/{job_id}/cancel", body={"reason": "interrupted"})
        except Failure as e:
            note(f"jobctl: the job could not be cancelled: {e.cause}")

    def interrupted(signum: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        note(f"jobctl: cancelling job {job_id}; Ctrl-C again leaves it")
        threading.Thread(target=cancel, daemon=True).start()

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def leaving_on_interrupt(job_id: str) -> Iterator[None]:
    """Ctrl-C leaves the job, saying how to come back to it."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"jobctl: job {job_id} goes on\n  `jobctl job logs -f {job_id}` follows it again.")
        raise


def _write(to: BinaryIO, data: bytes) -> None:
    to.write(data)
    to.flush()
