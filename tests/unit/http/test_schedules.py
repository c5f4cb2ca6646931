"""/schedules, and what POST /jobs makes of a trigger that recurs."""

from __future__ import annotations

from typing import Any

from actors.core import schedule
from actors.core.store.txn import Txn
from actors.model import keys
from tests.unit.http.facade import Answer, Facade

SPEC = {"name": "nightly", "type": "command", "cmd": "true"}
DAILY = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}  # the store's now is 2027-01-15T08:00Z


def put(served: Facade, trigger: Any = DAILY, **more: Any) -> Answer:
    body = SPEC | {"trigger": trigger}
    return served.api("PUT", "/schedules/nightly", body, **more)


def test_a_job_with_a_trigger_that_recurs_is_a_schedule(served: Facade) -> None:
    body = SPEC | {"trigger": DAILY}
    made = served.api("POST", "/jobs", body, headers={"Idempotency-Key": "k"})
    assert (made.status, made.headers["Location"]) == (201, "/api/v1/schedules/nightly")
    assert made.json == {"id": "", "idempotency_key": "k", "defined": "schedule/nightly"}
    again = served.api("POST", "/jobs", body, headers={"Idempotency-Key": "k"})
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    other = served.api(
        "POST", "/jobs", SPEC | {"trigger": {"every": "1m"}}, headers={"Idempotency-Key": "k"}
    )
    assert other.status == 422
    assert served.api("GET", "/jobs").json["items"] == []
    detail = served.api("GET", "/schedules/nightly").json
    assert (detail["next_at"], detail["state"]) == ("2027-01-16T01:30:00.000Z", "active")
    assert detail["reasons"][0]["code"] == "waiting"


def test_who_only_runs_jobs_defines_no_schedule(served: Facade) -> None:
    token = served.do(served.gateway.mint, "run")
    made = served.api("POST", "/jobs", SPEC | {"trigger": DAILY}, token=token)
    assert (made.status, "scope write" in made.json["detail"]) == (403, True)


def test_a_batch_takes_no_schedules(served: Facade) -> None:
    answer = served.api("POST", "/jobs/batch", {"jobs": [SPEC, SPEC | {"trigger": DAILY}]})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "$.jobs[1].trigger")


def test_every_fault_of_a_trigger_has_its_place(served: Facade) -> None:
    head = b"name: nightly\ntype: command\ncmd: 'true'\n"
    body = head + b"trigger:\n  cron: '0 2 30 2 *'\n  timezone: Europe/Berln\n"
    answer = served.ask("POST", "/api/v1/jobs", body, headers={"Content-Type": "application/yaml"})
    found = [(error["line"], error["column"], error["message"]) for error in answer.json["errors"]]
    assert found == [
        (5, 3, "character 5: never fires: no date is day 30 of month 2"),
        (6, 3, 'unknown time zone "Europe/Berln"; did you mean Europe/Berlin?'),
    ]


def test_put_get_and_delete_hold_to_revisions(served: Facade) -> None:
    created = put(served, headers={"If-None-Match": "*"})
    assert (created.status, put(served, headers={"If-None-Match": "*"}).status) == (200, 412)
    etag = created.headers["ETag"]
    assert put(served).headers["ETag"] == etag
    changed = put(served, {"every": "5m"}, headers={"If-Match": etag})
    assert (changed.status, changed.json["every_ms"]) == (200, 300_000)
    assert put(served, headers={"If-Match": etag}).status == 412
    assert served.api("PUT", "/schedules/nightly", SPEC).status == 422
    assert served.api("PUT", "/schedules/other", SPEC | {"trigger": DAILY}).status == 422
    assert served.api("DELETE", "/schedules/nightly", headers={"If-Match": etag}).status == 412
    assert served.api("DELETE", "/schedules/nightly").status == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("GET", "/preview")):
        assert served.api(method, f"/schedules/nightly{path}").status == 404
    assert served.gateway.state.get(keys.template("nightly")) is None


def test_pause_resume_and_upcoming(served: Facade) -> None:
    put(served)
    served.api("PUT", "/schedules/often", SPEC | {"name": "often", "trigger": {"every": "12h"}})
    upcoming = served.api("GET", "/schedules/upcoming?limit=3").json["items"]
    assert [item["schedule"] for item in upcoming] == ["often", "nightly", "often"]
    assert served.api("POST", "/schedules/nightly/pause").json["state"] == "paused"
    assert served.api("POST", "/schedules/nightly/pause").status == 200
    upcoming = served.api("GET", "/schedules/upcoming?limit=3").json["items"]
    assert {item["schedule"] for item in upcoming} == {"often"}
    served.gateway.now_ms += 2 * 86_400_000
    resumed = served.api("POST", "/schedules/nightly/resume").json
    assert (resumed["state"], resumed["missed"], resumed["last"]["reason"]) == (
        "active",
        2,
        "paused",
    )
    page = served.api("GET", "/schedules?limit=1").json
    assert [item["name"] for item in page["items"]] == ["nightly"]
    rest = served.api("GET", f"/schedules?limit=1&cursor={page['next_cursor']}").json
    assert [item["name"] for item in rest["items"]] == ["often"]


def test_fire_makes_one_job_of_a_key(served: Facade) -> None:
    put(served)
    headers = {"Idempotency-Key": "now"}
    made = served.api("POST", "/schedules/nightly/fire", {"input": {"a": 1}}, headers=headers)
    assert made.status == 202
    again = served.api("POST", "/schedules/nightly/fire", {"input": {"a": 1}}, headers=headers)
    assert (again.status, again.json["id"]) == (200, made.json["id"])
    job = served.api("GET", f"/jobs/{made.json['id']}").json
    assert (job["cause"]["kind"], job["spec"]["input"]) == ("schedule", {"a": 1})


def test_backfill_says_how_far_it_is(served: Facade) -> None:
    put(served)
    wanted = {"from": "2027-01-10T00:00:00Z", "to": "2027-01-12T00:00:00Z"}
    assert served.api("POST", "/schedules/nightly/backfill", wanted).status == 202
    assert served.api("POST", "/schedules/nightly/backfill", wanted | {"to": "soon"}).status == 400

    def fire() -> None:
        gateway = served.gateway
        txn = schedule.due(gateway.state, keys.schedule("nightly"), now_ms=gateway.now_ms)
        assert isinstance(txn, Txn)
        gateway.commit(txn)

    served.do(fire)
    (under_way,) = served.api("GET", "/schedules/nightly").json["backfills"]
    assert (under_way["done_until"], under_way["fires"]) == ("2027-01-10T01:30:00.000Z", 1)


def test_times_at_the_edges_of_calendars_break_nothing(served: Facade) -> None:
    far = {"cron": "* * * * *", "not_before": "9999-12-31T00:00:00Z"}
    assert put(served, far).json["state"] == "finished"
    assert put(served, {"every": "3650d", "anchor": "0001-01-01T00:00:00Z"}).status == 200
    put(served)
    for after in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2999-12-31T23:59:59Z", "3650d"):
        for around in ("true", "false"):
            path = f"/schedules/nightly/preview?after={after}&around_dst={around}"
            assert served.api("GET", path).status == 200
    wanted = {"from": "0001-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    refused = served.api("POST", "/schedules/nightly/backfill", wanted)
    assert (refused.status, "BACKFILL_FIRES" in refused.json["detail"]) == (400, True)


def test_preview_shows_what_the_clock_does(served: Facade) -> None:
    put(served)
    items = served.api("GET", "/schedules/nightly/preview?count=2").json["items"]
    assert [item["local"] for item in items] == [
        "2027-01-16T02:30:00+01:00",
        "2027-01-17T02:30:00+01:00",
    ]
    around = served.api("GET", "/schedules/nightly/preview?around_dst=true").json["items"]
    notes = {item["local"]: item["note"] for item in around if item["note"]}
    assert notes == {
        "2027-03-28T03:30:00+02:00": "shifted: the clock skips 02:30",
        "2027-10-31T02:30:00+02:00": "the first of two times that the clock shows it",
    }
    put(served, {"cron": "30 2 * * *", "timezone": "Asia/Kolkata"})
    assert served.api("GET", "/schedules/nightly/preview?around_dst=true").json["items"] == []


def test_a_plan_says_when_it_would_fire_first(served: Facade) -> None:
    plan = served.api("POST", "/jobs/plan", SPEC | {"trigger": DAILY}).json
    assert (plan["state"], plan["due_at"]) == ("scheduled", "2027-01-16T01:30:00.000Z")
