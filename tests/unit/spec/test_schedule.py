"""Triggers that recur: what is read, and what is wrong with them, by its place."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.spec import job_from_mapping, parse_job
from actors.core.spec.problems import Problems
from actors.core.spec.schedule import read_recurrence
from actors.errors import InvalidSpec
from actors.model.recurrence import Catchup, Dst, Recurrence
from actors.model.spec import Trigger

JOB = {"name": "nightly", "type": "command", "cmd": "true"}


def problems(trigger: Any) -> list[str]:
    with pytest.raises(InvalidSpec) as caught:
        job_from_mapping(JOB | {"trigger": trigger}, now_ms=0)
    return [f"{problem.path} {problem.message}" for problem in caught.value.problems]


def test_every_key_is_read() -> None:
    trigger = {
        "cron": ["0 2 * * *", "@hourly"],
        "timezone": "Europe/Berlin",
        "dst": {"gap": "skip", "overlap": "both"},
        "overlap": "queue_one",
        "catchup": {"mode": "all", "window": "2h", "max_runs": 5},
        "jitter": "30s",
        "starting_deadline": "10m",
        "not_before": "2026-01-01T00:00:00Z",
        "not_after": "2027-01-01T00:00:00Z",
        "paused": True,
        "max_fires": 7,
    }
    spec = job_from_mapping(JOB | {"trigger": trigger}, now_ms=0)
    assert spec.trigger == Trigger(
        recurrence=Recurrence(
            cron=("0 2 * * *", "@hourly"),
            timezone="Europe/Berlin",
            dst=Dst("skip", "both"),
            overlap="queue_one",
            catchup=Catchup("all", 7_200_000, 5),
            jitter_ms=30_000,
            starting_deadline_ms=600_000,
            not_before_ms=1_767_225_600_000,
            not_after_ms=1_798_761_600_000,
            paused=True,
            max_fires=7,
        )
    )


def test_a_text_and_a_list_are_expressions_too() -> None:
    found = Problems()
    for value in ("0 2 * * *", ["0 2 * * *"], {"cron": "0 2 * * *"}):
        assert read_recurrence(value, ("schedule",), found) == Recurrence(cron=("0 2 * * *",))
    assert read_recurrence("0 2 * *", ("schedule",), found) is None
    assert found


def test_keys_of_what_recurs_are_filled_when_it_starts() -> None:
    job = JOB | {"trigger": {"every": "1m"}, "input": {"a": 1}}
    spec = job_from_mapping(job | {"concurrency": [{"key": "${input.a}", "max": 1}]}, now_ms=0)
    assert spec.concurrency[0].key == "${input.a}"


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        ({"cron": "61 * * * *"}, '$.trigger.cron character 1: minute: expected 0 to 59, got "61"'),
        ({"cron": "* * * *"}, "$.trigger.cron character 8: expected 5 fields, or 6 with the sec"),
        ({"cron": "1 2 3 4 5 6 7"}, "$.trigger.cron character 13: expected 5 fields"),
        ({"cron": "0 0 30 2 *"}, "$.trigger.cron character 5: never fires: no date is day 30 of"),
        ({"cron": "0 0 * 13 *"}, "$.trigger.cron character 7: month: expected 1 to 12"),
        ({"cron": "0 0 * jan,xyz *"}, "$.trigger.cron character 11: month: expected 1 to 12"),
        ({"cron": "0,,5 * * * *"}, "$.trigger.cron character 3: minute: an empty item in a list"),
        ({"cron": "0 0 1,15W * *"}, "$.trigger.cron character 5: day of the month: the items of"),
        ({"cron": "R * * * *"}, "$.trigger.cron character 1: R is another number each time"),
        ({"cron": "50~70 * * * *"}, "$.trigger.cron character 1: minute: expected 0 to 59"),
        ({"cron": "H/0 * * * *"}, '$.trigger.cron character 1: a step of 0 in "H/0"'),
        ({"cron": "@dayly"}, '$.trigger.cron character 1: unknown word "@dayly"; did you mean @d'),
        ({"cron": "x" * 300}, "$.trigger.cron longer than 256 characters"),
        ({"cron": ["* * * * *", "x"]}, "$.trigger.cron[1] character 2: expected 5 fields"),
        ({"cron": 5}, "$.trigger.cron expected a cron expression or a list of them, got 5"),
        ({"cron": "* * * * *", "timezone": "Europe/Berln"}, "$.trigger.timezone unknown time zone"),
        ({"cron": "* * * * *", "timezone": "localtime"}, "$.trigger.timezone unknown time zone"),
        ({"cron": "* * * * *", "every": "5m"}, "$.trigger.every cron and every stand together"),
        ({"every": "5m", "timezone": "UTC"}, "$.trigger.timezone timezone goes with cron"),
        ({"every": "999ms"}, "$.trigger.every expected from 1000 ms"),
        ({"cron": "* * * * *", "anchor": "2026-01-01T00:00:00Z"}, "$.trigger.anchor anchor goes"),
        ({"timezone": "UTC"}, "$.trigger cron or every is missing"),
        ({"at": "2026-01-01T00:00:00Z", "every": "5m"}, "$.trigger.at at makes one job, every man"),
        (
            {
                "every": "5m",
                "not_before": "2026-01-02T00:00:00Z",
                "not_after": "2026-01-01T00:00:00Z",
            },
            "$.trigger.not_after it is before not_before",
        ),
        ({"every": "5m", "overlap": "queue"}, "$.trigger.overlap expected skip or queue_one"),
        ({"every": "5m", "catchup": {"max_runs": 999}}, "$.trigger.catchup.max_runs expected a wh"),
    ],
)
def test_a_fault_is_told_with_its_place(trigger: Any, expected: str) -> None:
    (found,) = problems(trigger)
    assert found.startswith(expected)


def test_a_text_has_line_and_column() -> None:
    text = b"name: a\ntype: command\ncmd: b\ntrigger:\n  cron:\n    - '* * * * *'\n    - nonsense\n"
    with pytest.raises(InvalidSpec) as caught:
        parse_job(text, now_ms=0)
    assert [(p.line, p.column) for p in caught.value.problems] == [(7, 7)]
