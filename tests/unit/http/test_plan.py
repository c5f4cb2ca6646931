"""POST /jobs/plan: a dry run."""

from __future__ import annotations

from tests.unit.http.facade import Facade

YAML = {"Content-Type": "application/yaml"}


def test_plan_is_the_normal_form_and_the_outlook_and_no_job(served: Facade) -> None:
    reader = served.do(served.gateway.mint, "read")
    text = b"name: j\ntype: command\nshell: 'echo hi'\ntimeout: 1m\n"
    plan = served.api("POST", "/jobs/plan", text, headers=YAML, token=reader).json
    assert plan["spec"] == {
        "name": "j",
        "type": "command",
        "argv": ["/bin/sh", "-c", "echo hi"],
        "timeout_ms": 60_000,
    }
    assert (plan["state"], plan["fits"]) == ("pending", True)
    assert served.api("GET", "/jobs").json["items"] == []
    made = served.api("POST", "/jobs", text, headers=YAML).json["id"]
    assert served.api("GET", f"/jobs/{made}").json["spec"] == plan["spec"]


def test_plan_says_why_nothing_fits(served: Facade) -> None:
    spec = {"name": "j", "type": "container", "image": "alpine"}
    plan = served.api("POST", "/jobs/plan", spec).json
    assert not plan["fits"]
    assert [reason["code"] for reason in plan["reasons"]] == ["executor"]
    assert plan["nodes"][0]["reasons"][0]["permanent"] is True
    later = {"name": "j", "type": "command", "cmd": "true", "trigger": {"delay": "1h"}}
    plan = served.api("POST", "/jobs/plan", later).json
    assert (plan["state"], plan["fits"]) == ("scheduled", True)


def test_plan_of_a_wrong_spec_is_every_problem_with_its_place(served: Facade) -> None:
    text = b"name: j\ntype: command\nvolums: []\npriority: 900\n"
    refused = served.api("POST", "/jobs/plan", text, headers=YAML)
    assert refused.status == 422
    assert {3, 4} <= {problem["line"] for problem in refused.json["errors"]}
