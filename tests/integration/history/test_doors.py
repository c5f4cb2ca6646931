"""A job that the store has let go is found as before: by its id, in lists, and by SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.node_process import NodeProcess, Refused, until

LARGE = 60_000


class Past:
    """A node, and its jobs of before, none of which the store has any more."""

    def __init__(self, data: Path) -> None:
        self.node = NodeProcess(data)
        self.node.program = ("-m", "tests.integration.history.impatient")
        self.node.start()
        submit = self.node.submit
        self.plain = submit(
            name="plain",
            shell='echo said; echo {\\"n\\":1} > $JOBD_OUTPUT',
            labels={"team": "data"},
            environment={"KEY": "hush-hush"},
        )
        self.failed = submit(name="bad", shell="exit 3", retry={"max_attempts": 2, "delay": "10ms"})
        self.fan = submit(name="fan", shell="echo $JOBD_TASK_INDEX > $JOBD_OUTPUT", tasks=3)
        sevens = f"printf '\"'; head -c {LARGE} /dev/zero | tr '\\0' 7; printf '\"'"
        self.large = submit(name="large", shell=f"({sevens}) > $JOBD_OUTPUT")
        self.jobs = (self.plain, self.failed, self.fan, self.large)
        self.before = {job: self.node.ended(job) for job in self.jobs}
        until(lambda: not self.node.call("GET", "/status")["jobs"], 40)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    made = Past(tmp_path_factory.mktemp("past") / "data")
    try:
        yield made
    finally:
        made.node.end()


def test_a_job_looks_as_it_did_but_for_the_values_of_its_environment(past: Past) -> None:
    for job in past.jobs:
        now, then = past.node.job(job), past.before[job]
        assert now["spec"].pop("environment", {}) == dict.fromkeys(
            then["spec"].pop("environment", {}), ""
        )
        now["revision"] = then["revision"]  # of a fan-out it is the largest of its tasks
        assert now == then


def test_its_attempts_output_artifacts_log_and_events_are_there(past: Past) -> None:
    node = past.node
    attempts = node.call("GET", f"/jobs/{past.failed}/attempts")["items"]
    assert [(a["attempt"], a["exit_code"]) for a in attempts] == [(1, 3), (2, 3)]
    of_fan = node.call("GET", f"/jobs/{past.fan}/attempts?limit=2")
    assert [a["task"] for a in of_fan["items"]] == [0, 1]
    rest = node.call("GET", f"/jobs/{past.fan}/attempts?limit=2&cursor={of_fan['next_cursor']}")
    assert [a["task"] for a in rest["items"]] == [2]
    assert node.call("GET", f"/jobs/{past.plain}/output") == {"n": 1}
    assert node.call("GET", f"/jobs/{past.fan}/output?task=2") == 2
    assert node.call("GET", f"/jobs/{past.large}/output") == "7" * LARGE
    artifacts = node.call("GET", f"/jobs/{past.large}/artifacts")["items"]
    assert [a["size_bytes"] for a in artifacts] == [LARGE + 2]
    assert [line["text"] for line in node.logs(past.plain, stream="stdout")] == ["said\n"]
    types = [e["type"] for e in node.call("GET", f"/jobs/{past.plain}/events")["items"]]
    assert types == ["jobd:job:submitted", "jobd:job:started", "jobd:job:completed"]


def test_a_list_goes_on_in_the_history_with_the_same_filters(past: Past) -> None:
    node = past.node
    here = node.submit(name="here", cmd="sleep", args=["100"])
    listed = pages(node, "limit=2")
    assert listed[0] == here
    assert sorted(listed[1:]) == sorted(past.jobs)
    assert listed == sorted(listed, reverse=True)
    assert pages(node, "limit=1&state=failed") == [past.failed]
    assert pages(node, "limit=50&label=team=data") == [past.plain]
    assert pages(node, "limit=50&label=team") == [past.plain]
    assert pages(node, "limit=50&name=fan&name=large") == sorted([past.fan, past.large])[::-1]
    assert pages(node, f"limit=50&id_prefix={past.fan}") == [past.fan]
    assert pages(node, "limit=50&q=lar") == [past.large]
    assert pages(node, "limit=50&state=running") == [here]
    assert pages(node, "limit=50&until=1h") == []
    assert len(pages(node, "limit=50&since=1h")) == 5
    node.call("POST", f"/jobs/{here}/cancel", {})


def test_what_has_ended_long_ago_can_not_be_changed(past: Past) -> None:
    assert past.node.call("POST", f"/jobs/{past.plain}/cancel", {})["state"] == "succeeded"
    with pytest.raises(Refused) as refused:
        past.node.call("POST", f"/jobs/{past.plain}/retry")
    assert refused.value.status == 409


def test_sql_sees_the_tables(past: Past) -> None:
    def run(sql: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = past.node.call("POST", "/query", {"sql": sql, **more})
        return answer

    found = run("select name, attempts from jobs where state = $1", parameters=["failed"])
    assert found == {
        "columns": ["name", "attempts"],
        "types": ["VARCHAR", "INTEGER"],
        "rows": [["bad", 2]],
        "truncated": False,
    }
    by_name = run(
        "select sum(tasks)::INT as n from jobs where name = $name", parameters={"name": "fan"}
    )
    assert by_name["rows"] == [[3]]
    cut = run("select range from range(10)", max_rows=3)
    assert cut["rows"] == [[0], [1], [2]]
    assert cut["truncated"]
    for sql in ("delete from jobs", "from read_text('/etc/passwd')", "from nowhere"):
        with pytest.raises(Refused) as refused:
            run(sql)
        assert refused.value.status == 400
    with pytest.raises(Refused) as late:
        run("select count(*) from range(1000000) a, range(1000000) b", timeout_s=1.0)
    assert late.value.status == 503


def test_sql_that_takes_all_memory_or_never_ends_stops_no_other(past: Past) -> None:
    def refused(sql: str) -> int:
        with pytest.raises(Refused) as refusal:
            past.node.call("POST", "/query", {"sql": sql, "timeout_s": 1.0})
        return refusal.value.status

    assert refused("select repeat('x', 10000000) from range(1000)") == 413
    endless = "levenshtein(repeat('a', 20000 + r::int), repeat('b', 20000))"
    assert refused(f"select max({endless}) from range(2048) t(r)") == 503
    assert past.node.call("POST", "/query", {"sql": "select 1"})["rows"] == [[1]]
    assert past.node.job(past.plain)["name"] == "plain"


def test_an_unknown_job_is_not_found(past: Past) -> None:
    with pytest.raises(Refused) as refused:
        past.node.job("0" * 26)
    assert refused.value.status == 404


def test_a_deleted_job_is_gone_from_the_history_too(past: Past) -> None:
    node = past.node
    job = node.submit(name="doomed", shell="echo secret-words > $JOBD_OUTPUT || true; echo {}")
    node.ended(job)
    count = {"sql": "select count(*) from jobs where id = $1", "parameters": [job]}
    until(lambda: node.call("POST", "/query", count)["rows"] == [[1]])
    node.call("DELETE", f"/jobs/{job}")
    assert node.call("POST", "/query", count)["rows"] == [[0]]
    for path in (f"/jobs/{job}", f"/jobs/{job}/logs", f"/jobs/{job}/attempts"):
        with pytest.raises(Refused) as refused:
            node.call("GET", path)
        assert refused.value.status == 404


def pages(node: NodeProcess, query: str) -> list[str]:
    """Return the ids of a list, page after page."""
    found: list[str] = []
    cursor = ""
    while True:
        page = node.call("GET", f"/jobs?{query}{cursor}")
        found += [job["id"] for job in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
