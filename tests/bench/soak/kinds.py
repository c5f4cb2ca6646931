"""The kinds of jobs that a soak submits, each with the end that is expected of it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple, Protocol

__all__ = ["KINDS", "Api", "Kind", "mixed"]

_LINES = 20


class Api(Protocol):
    """Calls a node; anything but 2xx raises."""

    async def get(self, path: str) -> Any: ...

    async def post(self, path: str, body: Any) -> Any: ...


Check = Callable[[Api, str, dict[str, Any]], Awaitable[bool]]


class Kind(NamedTuple):
    """A kind of job: its share of 100, its spec, its end, and what else is to hold of it then."""

    name: str
    share: int
    spec: dict[str, Any]
    end: tuple[str, str]  # state, reason
    holds: Check | None = None


async def _ran_twice(_: Api, __: str, job: dict[str, Any]) -> bool:
    return bool(job["attempt"] == 2)


async def _every_task(_: Api, __: str, job: dict[str, Any]) -> bool:
    return bool(job["task_states"] == {"succeeded": 5})


async def _has_output(api: Api, job_id: str, _: dict[str, Any]) -> bool:
    return bool(await api.get(f"/jobs/{job_id}/output") == {"job": job_id})


async def _has_log(api: Api, job_id: str, _: dict[str, Any]) -> bool:
    page = await api.get(f"/jobs/{job_id}/logs?limit=500")
    text = "".join(record["text"] for record in page["items"])
    return text == "".join(f"line {i} of {job_id}\n" for i in range(1, _LINES + 1))


_RETRY = {"max_attempts": 2, "delay": "100ms", "jitter": "none"}
# Shares of 100; a sleeping job is one that the soak cancels.
KINDS = (
    Kind("success", 50, {"cmd": "true"}, ("succeeded", "exit")),
    Kind(
        "output",
        12,
        {"shell": 'printf \'{"job": "%s"}\' "$JOBD_JOB_ID" >"$JOBD_OUTPUT"'},
        ("succeeded", "exit"),
        _has_output,
    ),
    Kind(
        "log",
        12,
        {
            "shell": f"i=1; while [ $i -le {_LINES} ]; do "
            'echo "line $i of $JOBD_JOB_ID"; i=$((i+1)); done'
        },
        ("succeeded", "exit"),
        _has_log,
    ),
    Kind("failure", 8, {"shell": "exit 3"}, ("failed", "exit")),
    Kind(
        "retried",
        7,
        {"shell": "test $JOBD_ATTEMPT = 2", "retry": _RETRY},
        ("succeeded", "exit"),
        _ran_twice,
    ),
    Kind(
        "retried in vain", 2, {"shell": "exit 4", "retry": _RETRY}, ("failed", "exit"), _ran_twice
    ),
    Kind("cancelled", 5, {"cmd": "sleep", "args": ["60"]}, ("cancelled", "cancelled")),
    Kind("fan-out", 4, {"shell": ":", "tasks": 5}, ("succeeded", "tasks"), _every_task),
)


def mixed(seed: int) -> Iterator[Kind]:
    """Yield kinds without end, each hundred of them in their shares, shuffled."""
    rng = random.Random(seed)
    hundred = [kind for kind in KINDS for _ in range(kind.share)]
    assert len(hundred) == 100, len(hundred)
    while True:
        rng.shuffle(hundred)
        yield from hundred
