"""From a job's spec to what the job supervisor spawns, and from its exit record to an ending.

Pure: the slot hands over what it knows and sends what comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from actors import limits
from actors.core.job.finish import LOST, Ending
from actors.core.job.slot import DRAINED, ISOLATED
from actors.core.spec.output import read_output
from actors.core.supervisor_protocol import ExitRecord, Launch, SecretValues
from actors.errors import JobdError, TooLarge, Unavailable
from actors.model.job import Output
from actors.model.spec import JobSpec
from actors.model.trace import SpanContext

__all__ = ["LargeOutput", "ending", "large_output", "late_ending", "launch"]

_ENCODER: Final = msgspec.json.Encoder()


class LargeOutput(NamedTuple):
    """An output that has become an artifact; a `reason` says that it isn't what was promised."""

    digest: str
    reason: str = ""
    detail: str = ""


def launch(
    spec: JobSpec,
    open_secret: Callable[[str], str],
    *,
    masks: bool,
    job_id: str,
    task_index: int,
    n: int,
    fence: int,
    node: str,
    trace: SpanContext,
    run: str = "",
    step: str = "",
) -> Launch:
    """Return what to spawn for an attempt of a command job, its secrets opened.

    `run` and `step` are what the job is a part of, if it is.

    Where one can't be had, or the supervisor is of an earlier release and does not mask
    (`masks`), it is a launch that the supervisor registers and refuses: nothing is ever spawned
    without a secret that it was to have.
    """
    try:
        secrets = _opened(spec, open_secret, masks=masks)
    except JobdError as error:
        return Launch(argv=("",), refusal=error.message)
    return Launch(
        argv=spec.argv,
        environment={
            "TRACEPARENT": trace.traceparent,  # a spec may name another
            **_environment(spec, job_id, task_index, n, fence, node),
            **({"JOBD_RUN_ID": run, "JOBD_STEP": step} if run else {}),
        },
        cwd=spec.cwd,
        user=spec.user,
        umask=spec.umask,
        kill_signal=spec.kill_signal,
        kill_grace_ms=spec.kill_grace_ms,
        input_json=_ENCODER.encode(spec.input) if spec.has_input else None,
        stdin_input=spec.stdin == "input",
        timeout_ms=spec.timeout_ms,
        idle_timeout_ms=spec.idle_timeout_ms,
        memory_bytes=spec.resources.memory_bytes,
        cpu_milli=spec.resources.cpu_milli,
        nofile=spec.limits.nofile,
        fsize_bytes=spec.limits.fsize_bytes,
        nproc=spec.limits.nproc,
        log_bytes=limits.LOG_ATTEMPT_BYTES,
        line_bytes=limits.LOG_LINE_BYTES,
        output_bytes=limits.OUTPUT_BYTES,
        secrets=secrets,
    )


def _opened(spec: JobSpec, open_secret: Callable[[str], str], *, masks: bool) -> SecretValues:
    """Raises NotFound, SealingKeyLost, TooLarge; Unavailable where they would not be masked."""
    if spec.secrets and not masks:
        raise Unavailable(
            "the job supervisor is of an earlier release and would not mask secrets;"
            " it ends with the jobs that it holds"
        )
    values = {variable: open_secret(name) for variable, name in spec.secrets.items()}
    size = sum([len(name) + len(value.encode()) + 2 for name, value in values.items()])
    if size > limits.ENV_BYTES:
        raise TooLarge(f"its secrets take {size} bytes; ENV_BYTES is {limits.ENV_BYTES}")
    return SecretValues(values)


def _environment(
    spec: JobSpec, job_id: str, task_index: int, n: int, fence: int, node: str
) -> dict[str, str]:
    """The job's own variables, then JobD's, which can't be overridden.

    Cloud Run counts attempts from 0 and JobD from 1; its names are set so that images move over.
    """
    return spec.environment | {
        "JOBD_JOB_ID": job_id,
        "JOBD_ATTEMPT": str(n),
        "JOBD_FENCE": str(fence),
        "JOBD_NODE": node,
        "JOBD_TASK_INDEX": str(task_index),
        "JOBD_TASK_COUNT": str(spec.tasks),
        "CLOUD_RUN_JOB": spec.name,
        "CLOUD_RUN_EXECUTION": job_id,
        "CLOUD_RUN_TASK_INDEX": str(task_index),
        "CLOUD_RUN_TASK_COUNT": str(spec.tasks),
        "CLOUD_RUN_TASK_ATTEMPT": str(n - 1),
    }


def large_output(exit_: ExitRecord | None) -> str | None:
    """Return the path of an output that must become an artifact before its attempt is ended.

    Only a success has an output: what a failed attempt wrote goes with its spool.
    """
    return exit_.output_path if exit_ is not None and _is_success(exit_) else None


def _is_success(exit_: ExitRecord) -> bool:
    return exit_.reason == "exit" and exit_.code == 0


def ending(exit_: ExitRecord, spec: JobSpec, large: LargeOutput | None) -> Ending:
    """Return what an exit means for its attempt; `large` is what its large output has become."""
    failed = Ending(
        "failed",
        exit_.reason,
        exit_code=exit_.code,
        signal=exit_.signal,
        detail=exit_.detail,
        cpu_ms=exit_.cpu_ms,
        max_rss_bytes=exit_.max_rss_bytes,
    )
    if exit_.reason == "lost":
        return LOST._replace(detail=exit_.detail)
    if exit_.reason == "killed":
        return _killed(failed, exit_.kill_reason)
    return _with_output(failed, exit_, spec, large) if _is_success(exit_) else failed


def late_ending(exit_: ExitRecord | None) -> Ending | None:
    """Return what an attempt came to whose fence is gone, None unless it ended by itself."""
    if exit_ is None or exit_.reason in ("lost", "killed"):
        return None
    return Ending(
        "superseded",
        exit_.reason,
        exit_code=exit_.code,
        signal=exit_.signal,
        detail=exit_.detail,
        cpu_ms=exit_.cpu_ms,
        max_rss_bytes=exit_.max_rss_bytes,
    )


def _killed(failed: Ending, why: str) -> Ending:
    """Say what a kill means: its node drains, was cut off, or the job's end was asked for.

    A user's reason may be one of these words: a job that is to stop ends the same by all three.
    """
    if why == DRAINED:
        return failed._replace(outcome="preempted", reason=why, detail="its node drains")
    if why == ISOLATED:
        return LOST._replace(detail="its node was cut off from the others")
    return failed._replace(outcome="cancelled", reason=why or "cancelled")


def _with_output(
    failed: Ending, exit_: ExitRecord, spec: JobSpec, large: LargeOutput | None
) -> Ending:
    """Exit code 0 is a success if the output, where there is one, is what was promised."""
    if exit_.output_error:
        return failed._replace(reason="output", detail=exit_.output_error)
    if large is not None:
        output: Output | None = Output(None, exit_.output_size, large.digest)
        _, reason, detail = large
    else:
        text, reason, detail = read_output(exit_.output, spec.output_schema)
        output = Output(text, len(text)) if text is not None else None
    if reason:
        return failed._replace(reason=reason, detail=detail)
    return failed._replace(outcome="succeeded", output=output)
