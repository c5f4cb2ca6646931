"""Clients of a simulated node: they submit, repeat what was not answered, cancel, delete, listen.

A client that gets no answer sends the same request again, with the same key; one without a key
gives up, as nobody can know what became of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any

from actors.core.ports import EventPage
from actors.errors import JobdError, NotFound, Unavailable
from actors.model.event import event_id
from actors.model.ids import make_id
from actors.model.spec import Concurrency, JobSpec, NodeLost, Retry, Trigger
from jobd.api.gateway import RequestKey, Submitted
from tests.sim.node.machine import Machine
from tests.sim.node.monitor import Monitor
from tests.sim.violation import ViolationError

__all__ = ["Clients", "draw_spec"]

_AGAIN_S = 0.3
_LISTEN_S = 0.4
_PAGE = 50
_KEYS = (Concurrency("one", 1), Concurrency("two", 2), Concurrency("one", 1, "cancel_running"))


def draw_spec(rng: random.Random, number: int) -> JobSpec:
    """Return a job of any sort; `argv` is what its attempts do (see SimSupervisor)."""
    run = f"{rng.choice((1, 20, 200, 2000))}:{rng.choice((0, 0, 1))}"
    base = {"name": f"job-{number}", "type": "command", "argv": (run,)}
    lost = NodeLost(0, rng.choice(("requeue", "fail")))
    retry = Retry(
        rng.randint(2, 4),
        rng.choice(("constant", "exponential")),
        rng.choice((10, 500)),
        jitter=rng.choice(("none", "full")),
    )
    sorts: list[dict[str, Any]] = [
        {},
        {},
        {"retry": retry, "argv": ("20:1", "100:1", run)},
        {"trigger": Trigger(delay_ms=rng.choice((1, 700, 3000)))},
        {
            "tasks": rng.randint(2, 5),
            "parallelism": rng.randint(0, 2),
            "min_success": rng.choice((0, 1)),
            "fail_fast": rng.random() < 0.5,
            "retry": rng.choice((Retry(), retry)),
            "argv": (run, "20:0"),
        },
        {"concurrency": (rng.choice(_KEYS),)},
        {"concurrency": (_KEYS[0],)},
        {"concurrency": _KEYS[:2], "tasks": rng.randint(1, 3)},
        {"expires_ms": rng.choice((1, 500, 5000))},
        {"timeout_ms": 100, "argv": ("2000:0", "10:0"), "retry": retry},
        {"total_timeout_ms": 900, "argv": ("2000:0",)},
        {"argv": ("30:0:big",)},
        {"idempotency_key": rng.choice("xyz"), "idempotency_ttl_ms": 86_400_000},
    ]
    return JobSpec(**{**base, "node_lost": lost, **rng.choice(sorts)})


class _Request:
    """One request until it is answered; `again` says whether it may be sent twice."""

    def __init__(
        self,
        send: Callable[[Any], Coroutine[Any, Any, Any]],
        done: Callable[[Any], None],
        *,
        again: bool,
        job_id: str | None = None,
    ) -> None:
        self.send = send
        self.done = done
        self.again = again
        self.job_id = job_id


class Clients:
    """All clients of one machine."""

    def __init__(self, machine: Machine, monitor: Monitor, rng: random.Random) -> None:
        self._machine = machine
        self._monitor = monitor
        self._rng = rng
        self._waiting: dict[_Request, None] = {}  # until answered, in order
        self._sent: dict[_Request, None] = {}  # of these, to the present process
        self._listening = False
        self._cursor = (0, 0)

    @property
    def waiting(self) -> int:
        """Requests that will be answered yet."""
        return len(self._waiting)

    # -- what they want

    def draw_key(self) -> str | None:
        """Return an idempotency key: none, one that may be the job's id, or a client's own."""
        match self._rng.choice(("minted there", "minted here", "own", "own")):
            case "minted there":
                return None
            case "minted here":
                return make_id(self._machine.host.clock.now_ms(), self._rng.getrandbits(80))
        return f"key {self._rng.random()}"

    def submit(self, spec: JobSpec, key: str | None) -> None:
        """Submit a job, under a key until it is accepted."""

        def accepted(made: Submitted) -> None:
            # A spec's own key is one for all that submit it; others are of this request alone.
            name = spec.idempotency_key if key is None else key
            shared = spec.idempotency_key is not None and key is None
            self._monitor.acknowledged(
                made.job_id, made.revision, f"spec {name}" if shared else made.key
            )
            if self._rng.random() < 0.1 and key is not None:
                self._send(request)  # once more, although it was answered

        request = _Request(
            lambda gateway: gateway.submit_job(
                spec, principal="me", idempotency_key=key, body_hash=spec.name
            ),
            accepted,
            again=key is not None,
            job_id=key,
        )
        self._send(request)

    def emit(self, type_: str, data: dict[str, Any], done: Callable[[str], None]) -> None:
        """Emit an event, under a key until it is there; `done` gets its id."""
        wanted = RequestKey("me", f"emit {type_} {data}", "b")
        request = _Request(
            lambda gateway: gateway.emit_event(type_, "s", data, request=wanted),
            lambda written: done(event_id(written.revision, 0)),
            again=True,
        )
        self._send(request)

    def cancel(self) -> None:
        """Cancel any accepted job."""
        job_id = self._any_job()
        if job_id is None:
            return
        self._send(
            _Request(
                lambda gateway: gateway.cancel_job(job_id, "please", None),
                lambda revision: self._monitor.cancel_acknowledged(job_id, revision),
                again=True,
                job_id=job_id,
            )
        )

    def delete(self) -> None:
        """Delete any accepted job that has ended."""
        job_id = self._any_job()
        if job_id is None:
            return
        self._monitor.deleted.add(job_id)
        self._send(
            _Request(
                lambda gateway: gateway.delete_job(job_id),
                lambda _: None,
                again=True,
                job_id=job_id,
            )
        )

    def _any_job(self) -> str | None:
        known = [job_id for job_id in self._monitor.accepted if job_id not in self._monitor.deleted]
        return self._rng.choice(known) if known else None

    def listen(self) -> None:
        """Follow the events, from the place that was reached."""
        self._machine.host.call_later(_LISTEN_S, self.listen)
        if self._listening or self._machine.node is None:
            return
        self._listening = True
        request = _Request(
            lambda gateway: gateway.read_events(self._cursor, _PAGE, (), None),
            self._heard,
            again=False,
        )
        self._send(request)

    def _heard(self, page: EventPage) -> None:
        self._listening = False
        if page.gap:
            raise ViolationError("N-i", f"a gap behind {self._cursor}")
        self._monitor.heard.extend(page.events)
        if page.events:
            self._cursor = (page.events[-1].revision, page.events[-1].k)

    # -- sending

    def _send(self, request: _Request) -> None:
        self._waiting[request] = None
        node = self._machine.node
        if node is None:
            self._later(request)
            return
        self._sent[request] = None

        def answered(answer: Any) -> None:
            if node is self._machine.node:
                self._sent.pop(request, None)
                self._answered(request, answer)

        node.loop.start(request.send(node.gateway), answered)

    def _answered(self, request: _Request, answer: Any) -> None:
        gone = request.job_id is not None and self._monitor.may_be_gone(request.job_id)
        if isinstance(answer, NotFound) and not gone:
            raise ViolationError("N-a", f"an accepted job is not found: {answer}")
        if isinstance(answer, Unavailable) and not gone:
            self._later(request)
            return
        self._waiting.pop(request, None)
        if not isinstance(answer, BaseException):
            request.done(answer)
        elif not isinstance(answer, JobdError):
            raise answer

    def _later(self, request: _Request) -> None:
        self._machine.host.call_later(_AGAIN_S, self._send, request)

    def node_died(self) -> None:
        """The connections are lost: send again what may be sent again."""
        self._listening = False
        lost, self._sent = self._sent, {}
        for request in lost:
            if request.again:
                self._later(request)
            else:
                self._waiting.pop(request, None)
