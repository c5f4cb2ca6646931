"""Why a job does not run, in the words that a person reads."""

from __future__ import annotations

from typing import Any

from actors.core import job, task_set
from actors.core.explain import explain, forecast
from actors.core.placement import NodeCapacity
from actors.model import keys
from actors.model.spec import (
    Concurrency,
    JobSpec,
    NodeLost,
    Placement,
    Resources,
    Retry,
    Trigger,
)
from tests.unit.jobs.given import NODE, Given

IDLE = NodeCapacity(NODE, 4, 4, 4000, 4000, 2**33, 2**33, frozenset(("command",)))


def _explain(given: Given, job_id: str, *nodes: NodeCapacity, **more: Any) -> Any:
    return explain(given.state, job_id, nodes or [IDLE], given.now, **more)


def _messages(told: Any) -> list[str]:
    return [reason["message"] for reason in told["reasons"]]


def test_unknown() -> None:
    assert _explain(Given(), "nothing") is None


def test_scheduled_by_trigger_and_by_backoff() -> None:
    given = Given()
    told = _explain(given, given.accept(trigger=Trigger(delay_ms=9)))
    assert told["state"] == "scheduled"
    assert told["reasons"] == [
        {"code": "trigger", "message": "waits until its time comes", "due_ms": given.now + 9}
    ]
    failed = given.accept(retry=Retry(2))
    given.finish(given.claim(failed), "failed")
    assert _messages(_explain(given, failed)) == ["waits to try again after failure 1 (exit)"]


def test_waiting_names_who_holds_the_key() -> None:
    given = Given()
    key = (Concurrency("db", 2),)
    holders = [given.accept(concurrency=key) for _ in range(2)]
    for holder in holders:
        given.claim(holder)
    told = _explain(given, given.accept(concurrency=key))
    assert told["state"] == "waiting"
    assert _messages(told) == [
        f"concurrency key db: 2 of 2 in use by job {holders[0]}, job {holders[1]}"
    ]
    assert told["reasons"][0]["holders"] == holders


def test_pending_for_each_reason() -> None:
    given = Given()
    holder = given.accept(resources=Resources(2000))
    given.claim(holder)
    big = given.accept(resources=Resources(4000))
    told = _explain(given, big, IDLE._replace(cpu_milli_free=2000, slots_free=3), ahead=12)
    assert _messages(told) == [
        "no node has room for it now",
        "behind 12 jobs of higher priority",
    ]
    assert [r["message"] for r in told["nodes"][0]["reasons"]] == [
        f"needs 4 cpu, 2 free (held by job {holder})"
    ]
    elsewhere = given.accept(placement=Placement(node="other"))
    assert _messages(_explain(given, elsewhere)) == ["no node takes such a job"]
    nothing = IDLE._replace(executors=frozenset(("js",)))
    assert _messages(_explain(given, elsewhere, nothing)) == [
        "no executor for this type (command) on any node"
    ]
    assert _messages(_explain(given, given.accept())) == ["a node is about to claim it"]


def test_running_stopping_and_ended() -> None:
    given = Given()
    job_id = given.accept()
    attempt = given.claim(job_id)
    assert _explain(given, job_id)["reasons"] == []
    given.commit(job.cancel(given.state, job_id, "user", given.now))
    assert _messages(_explain(given, job_id)) == [
        "its end was asked for (user); waiting for its processes to end"
    ]
    given.finish(attempt, "cancelled", "killed")
    told = _explain(given, job_id)
    assert (told["state"], told["reason"], told["reasons"]) == ("cancelled", "cancelled", [])


def test_a_fan_out_tells_of_its_tasks() -> None:
    given = Given()
    job_id = given.accept(tasks=3, resources=Resources(9000), schedule_timeout_ms=50)
    assert _messages(_explain(given, job_id)) == ["its first tasks are about to be made"]
    given.commit(task_set.advance(given.state, job_id, given.now))
    told = _explain(given, job_id)
    assert _messages(told) == ["3 of 3 tasks made: 3 pending", "no node takes such a job"]
    assert told["nodes"][0]["reasons"][0]["permanent"]


def test_the_next_timer_is_told() -> None:
    given = Given()
    job_id = given.accept(total_timeout_ms=500)
    assert _explain(given, job_id)["next_due_ms"] == job.due_at(given.state, keys.job(job_id))


def test_forecast_of_a_job_that_is_not_submitted() -> None:
    given = Given()
    holder = given.accept(concurrency=(Concurrency("db", 1),))
    given.claim(holder)

    def told(*nodes: NodeCapacity, **more: Any) -> Any:
        spec = JobSpec(name="j", type="command", argv=("true",), **more)
        return forecast(given.state, spec, nodes or [IDLE], given.now)

    now = told()
    assert (now["state"], now["due_ms"]) == ("pending", given.now)
    assert [reason["code"] for reason in now["reasons"]] == ["starting"]
    assert now["nodes"][0]["reasons"] == []
    later = told(trigger=Trigger(delay_ms=9), placement=Placement(labels={"zone": "a"}))
    assert (later["state"], later["due_ms"]) == ("scheduled", given.now + 9)
    assert [reason["code"] for reason in later["reasons"]] == ["trigger", "no_node"]
    assert [reason["code"] for reason in later["nodes"][0]["reasons"]] == ["label"]
    assert told(trigger=Trigger(delay_ms=9))["reasons"][-1]["code"] == "trigger"
    behind = told(concurrency=(Concurrency("db", 1),))
    assert (behind["state"], behind["reasons"][0]["holders"]) == ("waiting", [holder])
    assert told(IDLE._replace(slots_free=0))["reasons"][0]["code"] == "no_room"


def test_every_node_says_what_it_lacks() -> None:
    given = Given()
    wanted = given.accept(placement=Placement(labels={"zone": "a"}))
    nodes = (
        IDLE._replace(ready=False, labels={"zone": "a"}),
        IDLE._replace(node="n1", labels={"zone": "b"}),
        IDLE._replace(node="n2", labels={"zone": "a"}, cordoned=True),
    )
    told = _explain(given, wanted, *nodes)
    assert [[r["code"] for r in node["reasons"]] for node in told["nodes"]] == [
        ["not_ready"],
        ["label"],
        ["cordoned"],
    ]
    assert _messages(told) == ["no node has room for it now"]
    told = _explain(given, wanted, *nodes, IDLE._replace(node="n3", labels={"zone": "a"}))
    assert _messages(told) == ["a node is about to claim it"]


def test_a_node_that_is_lost_may_come_back() -> None:
    given = Given()
    wanted = given.accept(placement=Placement(node="first"))
    given.lose_node()
    told = _explain(given, wanted, IDLE._replace(node="n1", name="second"))
    assert _messages(told) == ["no node has room for it now"]
    assert [r["message"] for r in told["nodes"][1]["reasons"]] == ["it is lost"]
    told = _explain(given, wanted, IDLE._replace(name="first"))
    assert _messages(told) == ["a node is about to claim it"]


def test_running_on_a_lost_node_until_its_wait_is_over() -> None:
    given = Given()
    job_id = given.accept(node_lost=NodeLost(5_000, "requeue"))
    given.claim(job_id)
    assert _messages(_explain(given, job_id)) == []
    given.lose_node()
    (reason,) = _explain(given, job_id)["reasons"]
    assert (reason["code"], reason["due_ms"]) == ("node_lost", given.now + 5_000)
