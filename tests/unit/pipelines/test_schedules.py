"""A pipeline with a schedule: one transaction for both, and runs as its fires."""

from __future__ import annotations

from actors.core import schedule
from actors.core.store.txn import Txn
from actors.model import keys
from tests.unit.http.facade import Facade

YAML = {"Content-Type": "application/yaml"}
TIMED = b'name: demo\nschedule: "* * * * *"\njobs: {only: {type: command, cmd: a}}\n'


def test_a_pipeline_brings_its_schedule_and_takes_it_along(served: Facade) -> None:
    made = served.api("PUT", "/pipelines/demo", TIMED, headers=YAML)
    assert made.status == 200, made.json
    timed = served.gateway.state.get(keys.schedule("demo"))
    assert timed is not None
    assert (timed.noun.target.kind, timed.noun.target.name) == ("pipeline", "demo")
    assert served.api("GET", "/pipelines/demo").json["spec"]["schedule"] == "* * * * *"
    again = served.api("PUT", "/pipelines/demo", TIMED, headers=YAML)
    assert again.json["revision"] == made.json["revision"]
    served.api(
        "PUT", "/pipelines/demo", TIMED.replace(b'schedule: "* * * * *"\n', b""), headers=YAML
    )
    assert served.gateway.state.get(keys.schedule("demo")) is None
    served.api("PUT", "/pipelines/demo", TIMED, headers=YAML)
    served.api("DELETE", "/pipelines/demo")
    assert served.gateway.state.get(keys.schedule("demo")) is None


def test_a_fire_is_a_run(served: Facade) -> None:
    served.api("PUT", "/pipelines/demo", TIMED, headers=YAML)
    gateway = served.gateway
    gateway.now_ms += 61_000
    view, now_ms = gateway.state, gateway.now_ms
    txn = schedule.due(view, keys.schedule("demo"), now_ms=now_ms)
    assert isinstance(txn, Txn)
    served.do(gateway.commit, txn)
    (run,) = served.api("GET", "/runs").json["items"]
    assert run["cause"]["kind"] == "schedule"
    assert run["cause"]["id"].startswith("demo@")


def test_a_pipeline_brings_its_trigger_and_takes_it_along(served: Facade) -> None:
    started = TIMED.replace(b'schedule: "* * * * *"', b'trigger: {event: "order:*"}')
    made = served.api("PUT", "/pipelines/demo", started, headers=YAML)
    assert made.status == 200, made.json
    held = served.gateway.state.get(keys.trigger("demo"))
    assert held is not None
    assert (held.noun.target.kind, held.noun.target.name) == ("pipeline", "demo")
    again = served.api("PUT", "/pipelines/demo", started, headers=YAML)
    assert again.json["revision"] == made.json["revision"]
    timed = started.replace(b'{event: "order:*"}', b"{every: 5m}")
    served.api("PUT", "/pipelines/demo", timed, headers=YAML)
    assert served.gateway.state.get(keys.trigger("demo")) is None
    assert served.gateway.state.get(keys.schedule("demo")) is not None
    served.api("PUT", "/pipelines/demo", started, headers=YAML)
    assert served.gateway.state.get(keys.schedule("demo")) is None
    served.api("DELETE", "/pipelines/demo")
    assert served.gateway.state.get(keys.trigger("demo")) is None
    late = started.replace(b'{event: "order:*"}', b"{delay: 5m}")
    assert served.api("PUT", "/pipelines/demo", late, headers=YAML).status == 422


def test_the_name_of_a_jobs_schedule_is_taken(served: Facade) -> None:
    job = b'name: demo\ntype: command\ncmd: a\ntrigger: {cron: "* * * * *"}\n'
    assert served.api("PUT", "/schedules/demo", job, headers=YAML).status == 200
    refused = served.api("PUT", "/pipelines/demo", TIMED, headers=YAML)
    assert (refused.status, refused.json["detail"]) == (
        409,
        "the schedule demo is that of job demo",
    )


def test_a_wrong_schedule_is_told_with_its_place(served: Facade) -> None:
    wrong = TIMED.replace(b'"* * * * *"', b'"* * 31 2 *"')
    answer = served.api("PUT", "/pipelines/demo", wrong, headers=YAML)
    assert answer.status == 422
    assert answer.json["errors"][0]["line"] == 2
