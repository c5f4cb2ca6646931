"""The routes of pipelines and runs, over the real decisions."""

from __future__ import annotations

import time
from typing import Any

from actors.core import dag
from actors.core.job import evict
from actors.core.job.states import move
from actors.core.store.txn import Txn, at
from actors.model import keys
from actors.model.codec import encode
from actors.model.job import TERMINAL, Output
from tests.unit.http.facade import Facade

YAML = {"Content-Type": "application/yaml"}
DEMO = b"""
name: demo
inputs: {properties: {n: {type: integer, default: 3}}, required: [n]}
jobs:
  list: {type: command, cmd: ls}
  each: {type: command, cmd: echo, args: ["${item}"], map: {over: "${steps.list.output}"}}
  sum: {type: command, cmd: add, input_from: {job: each}}
  ok: {gate: {}, needs: [sum]}
  last: {type: command, cmd: "true", needs: [ok], if: "inputs.n > 2"}
finally:
  clean: {type: command, cmd: rm, args: ["${run.state}"]}
outputs: {sum: "${steps.sum.output}"}
"""


def advance(served: Facade, run_id: str) -> None:
    """Play the run's entity until it has nothing to decide."""
    gateway = served.gateway
    while True:
        txn = dag.advance(gateway.state, run_id, now_ms=gateway.now_ms, new_id=gateway.new_id)
        if txn is None:
            return
        gateway.commit(txn)


def put(served: Facade, text: bytes = DEMO, name: str = "demo") -> Any:
    return served.api("PUT", f"/pipelines/{name}", text, headers=YAML)


def trigger(served: Facade, **inputs: Any) -> str:
    made = served.api("POST", "/pipelines/demo/trigger", {"inputs": inputs})
    assert made.status == 202, made.json
    run_id = str(made.json["run_id"])
    assert made.headers["Location"] == f"/api/v1/runs/{run_id}"
    served.do(advance, served, run_id)
    return run_id


def end(served: Facade, run_id: str, step: str, *, good: bool = True, output: str = "") -> None:
    """Play an executor for the job of a step, then the run's entity."""

    def play() -> None:
        gateway = served.gateway
        state = gateway.state
        for key, entry in list(state.scan("job/")):
            job = entry.noun
            if (job.run, job.step) != (run_id, step) or job.state in TERMINAL:
                continue
            running = move(job, "claim", "running", now_ms=1, n=1)
            cause, target = ("succeed", "succeeded") if good else ("fail", "failed")
            done: Any = move(running, cause, target, now_ms=2, reason="exit")  # type: ignore[arg-type]
            ops = [(key, encode(done))]
            if output:
                text = output.encode()
                ops.append((keys.output(keys.last(key), 0), encode(Output(text, len(text)))))
            gateway.commit(Txn((at(key, entry.revision),), tuple(ops)))
        advance(served, run_id)

    served.do(play)


def states(served: Facade, run_id: str) -> dict[str, str]:
    return {s["name"]: s["state"] for s in served.api("GET", f"/runs/{run_id}").json["graph"]}


def through_the_map(served: Facade, run_id: str) -> None:
    end(served, run_id, "list", output="[1, 2]")
    end(served, run_id, "each/0", output="10")
    end(served, run_id, "each/1", output="20")


def test_a_pipeline_is_put_shown_and_deleted(served: Facade) -> None:
    made = put(served)
    assert (made.status, made.json["steps"], made.json["warnings"]) == (200, 6, [])
    assert put(served).json["revision"] == made.json["revision"]  # nothing new
    shown = served.api("GET", "/pipelines/demo").json
    assert shown["spec"]["jobs"]["each"]["map"] == {"over": "${steps.list.output}"}
    assert [p["name"] for p in served.api("GET", "/pipelines").json["items"]] == ["demo"]
    read = served.api("POST", "/pipelines/validate", DEMO, headers=YAML).json
    assert (read["differs"], read["spec"]) == (False, shown["spec"])
    assert served.api("DELETE", "/pipelines/demo").status == 204
    assert served.api("GET", "/pipelines/demo").status == 404


def test_what_is_wrong_is_refused(served: Facade) -> None:
    assert put(served, name="other").status == 400
    wrong = put(served, DEMO.replace(b"needs: [sum]", b"needs: [sun]"))
    assert (wrong.status, wrong.json["errors"]) == (
        422,
        [
            {
                "path": "$.jobs.ok.needs[0]",
                "line": 8,
                "column": 26,
                "message": 'there is no step "sun"; did you mean sum?',
            }
        ],
    )
    put(served)
    unknown = served.api("POST", "/pipelines/demo/trigger", {"inputs": {"m": 1}})
    assert unknown.status == 400
    assert "'m' was unexpected" in unknown.json["detail"]
    assert served.api("POST", "/pipelines/none/trigger", {}).status == 404
    assert served.api("POST", "/pipelines/demo/trigger", {"input": {}}).status == 400


def test_a_run_goes_through_its_graph(served: Facade) -> None:
    put(served)
    run_id = trigger(served)
    assert states(served, run_id)["list"] == "running"
    through_the_map(served, run_id)
    detail = served.api("GET", f"/runs/{run_id}").json
    each = next(step for step in detail["graph"] if step["name"] == "each")
    assert (each["state"], each["items"]) == ("succeeded", {"total": 2, "succeeded": 2})
    job_id = next(step["job"] for step in detail["graph"] if step["name"] == "sum")
    job = served.api("GET", f"/jobs/{job_id}").json
    assert (job["spec"]["input"], job["run"], job["step"]) == ([10, 20], run_id, "sum")
    end(served, run_id, "sum", output="30")
    assert states(served, run_id)["ok"] == "waiting"
    answered = served.api("POST", f"/runs/{run_id}/gates/ok", {"approve": True, "comment": "fine"})
    assert answered.status == 200
    again = served.api("POST", f"/runs/{run_id}/gates/ok", {"approve": False})
    assert again.status == 409
    served.do(advance, served, run_id)
    end(served, run_id, "last")
    end(served, run_id, "clean")
    done = served.api("GET", f"/runs/{run_id}?wait=1s").json
    assert (done["state"], done["outputs"]) == ("succeeded", {"sum": 30})
    types = [e["type"] for e in served.api("GET", f"/runs/{run_id}/events").json["items"]]
    assert types[:2] == ["jobd:pipeline:triggered", "jobd:pipeline:started"]
    assert types[-1] == "jobd:pipeline:completed"
    assert types.count("jobd:step:completed") == 8 - 1  # the gate was `approved`


def test_a_failed_run_runs_again_from_where_it_failed(served: Facade) -> None:
    put(served)
    run_id = trigger(served, n=1)
    assert served.api("POST", f"/runs/{run_id}/rerun", {}).status == 409  # it goes on
    through_the_map(served, run_id)
    end(served, run_id, "sum", good=False)
    end(served, run_id, "clean")
    failed = served.api("GET", f"/runs/{run_id}").json
    assert (failed["state"], failed["detail"]) == ("failed", "sum failed (exit)")
    assert states(served, run_id)["ok"] == "omitted"
    made = served.api("POST", f"/runs/{run_id}/rerun", {"from": "failed"})
    new_id = made.json["run_id"]
    served.do(advance, served, new_id)
    new = served.api("GET", f"/runs/{new_id}").json
    assert (new["parent_run"], new["rerun_from"], new["inputs"]) == (run_id, "failed", {"n": 1})
    reused = {step["name"]: step["reused"] for step in new["graph"]}
    assert (reused["list"], reused["each"], reused["sum"]) == (run_id, run_id, None)
    end(served, new_id, "sum", output="30")
    assert states(served, new_id)["ok"] == "waiting"
    assert served.api("POST", f"/runs/{run_id}/rerun", {"from": "nope"}).status == 409


def test_from_a_step_what_was_passed_over_stays_so(served: Facade) -> None:
    text = b"""
name: demo
jobs:
  a: {type: command, cmd: a, continue_on_failure: true}
  b: {type: command, cmd: b, needs: [a]}
  c: {type: command, cmd: c, needs: [b]}
"""
    put(served, text)
    run_id = trigger(served)
    end(served, run_id, "a", good=False)
    end(served, run_id, "b")
    end(served, run_id, "c")
    assert served.api("GET", f"/runs/{run_id}").json["state"] == "succeeded_with_warnings"
    again = {"failed": None, "c": run_id}
    for since, reused in again.items():
        made = served.api("POST", f"/runs/{run_id}/rerun", {"from": since}).json["run_id"]
        served.do(advance, served, made)
        steps = {s["name"]: s for s in served.api("GET", f"/runs/{made}").json["graph"]}
        assert (steps["a"]["reused"], steps["b"]["reused"]) == (reused, reused)
        assert steps["c"]["state"] == ("running" if since == "c" else "pending")


def test_a_run_keeps_the_definition_that_it_began_with(served: Facade) -> None:
    put(served)
    run_id = trigger(served)
    put(served, b"name: demo\njobs: {only: {type: command, cmd: a}}")
    served.api("DELETE", "/pipelines/demo")
    through_the_map(served, run_id)
    assert states(served, run_id)["sum"] == "running"


def test_a_cancelled_run_cleans_up(served: Facade) -> None:
    put(served)
    run_id = trigger(served)
    asked = served.api("POST", f"/runs/{run_id}/cancel", {"reason": "no more"})
    assert asked.json["stop_requested"]
    served.do(advance, served, run_id)
    assert states(served, run_id)["clean"] == "running"
    job_id = served.api("GET", f"/runs/{run_id}").json["graph"][-1]["job"]
    assert served.api("GET", f"/jobs/{job_id}").json["spec"]["argv"] == ["rm", "cancelled"]
    end(served, run_id, "clean")
    done = served.api("GET", f"/runs/{run_id}").json
    assert (done["state"], done["detail"]) == ("cancelled", "no more")
    assert done["steps"] == {"cancelled": 5, "succeeded": 1}


def test_runs_are_listed_and_drawn(served: Facade) -> None:
    put(served)
    first, second = trigger(served), trigger(served)
    listed = served.api("GET", "/runs").json["items"]
    assert [run["id"] for run in listed] == [second, first]
    page = served.api("GET", "/pipelines/demo/runs?limit=1&state=running").json
    assert page["items"][0]["id"] == second
    rest = served.api(
        "GET", f"/pipelines/demo/runs?limit=1&state=running&cursor={page['next_cursor']}"
    )
    assert rest.json["items"][0]["id"] == first
    assert served.api("GET", "/runs?pipeline=other").json["items"] == []
    picture = served.api("GET", f"/runs/{first}/graph.svg")
    assert picture.headers["Content-Type"].startswith("image/svg+xml")
    assert picture.body.count(b"<rect") == 6
    assert served.api("GET", "/runs/none").status == 404


def test_a_job_of_a_run_goes_with_it(served: Facade) -> None:
    put(served)
    run_id = trigger(served)
    end(served, run_id, "list", good=False)
    job_id = served.api("GET", f"/runs/{run_id}").json["graph"][0]["job"]
    entry = served.gateway.state.get(keys.job(job_id))
    assert entry is not None
    later = int(time.time() * 1000) + 10**9
    assert evict(served.gateway.state, [job_id], now_ms=later) is None
