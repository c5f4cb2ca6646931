"""From what a user wrote to a JobSpec."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.spec import job_from_mapping, job_schema, parse_job
from actors.errors import InvalidSpec, TooLarge
from actors.limits import ARGV_BYTES, ENV_BYTES, SPEC_BYTES, SPEC_PROBLEMS, TASKS
from actors.model.spec import (
    Concurrency,
    JobSpec,
    Limits,
    NodeLost,
    Placement,
    Resources,
    Retry,
    Trigger,
)

NOW_MS = 1_800_000_000_000


def job(**keys: Any) -> JobSpec:
    """A command job with these keys."""
    return job_from_mapping({"name": "x", "type": "command", "cmd": "true", **keys}, now_ms=NOW_MS)


def typed(type_: str, **keys: Any) -> JobSpec:
    return job_from_mapping({"name": "x", "type": type_, **keys}, now_ms=NOW_MS)


def problems(**keys: Any) -> list[str]:
    """What is wrong with a command job with these keys (None takes a key away)."""
    given = {"name": "x", "type": "command", "cmd": "true", **keys}
    with pytest.raises(InvalidSpec) as caught:
        job_from_mapping(given, now_ms=NOW_MS)
    assert all((p.line, p.column) == (0, 0) for p in caught.value.problems)
    return [f"{p.path} {p.message}" for p in caught.value.problems]


SEED_EXAMPLES = {
    "container": """name: build-image
type: container
image: docker:latest
command: ["docker", "build", "-t", "myapp", "."]
volumes:
  - source: ./src
    target: /app
environment:
  DOCKER_BUILDKIT: "1"
""",
    "js": """name: process-data
type: js
module: process_data.js
""",
    "command": """name: backup-database
type: command
cmd: pg_dump
args: [-h, localhost, mydb]
environment:
  PGPASSWORD: secret
timeout_secs: 3600
""",
}


@pytest.mark.parametrize("type_", SEED_EXAMPLES)
def test_the_seeds_examples_work_as_written(type_: str) -> None:
    spec = parse_job(SEED_EXAMPLES[type_].encode(), now_ms=NOW_MS)
    expected = {
        "container": JobSpec(
            name="build-image",
            type="container",
            environment={"DOCKER_BUILDKIT": "1"},
            backend={
                "image": "docker:latest",
                "command": ["docker", "build", "-t", "myapp", "."],
                "volumes": [{"source": "./src", "target": "/app"}],
            },
        ),
        "js": JobSpec(name="process-data", type="js", backend={"module": "process_data.js"}),
        "command": JobSpec(
            name="backup-database",
            type="command",
            argv=("pg_dump", "-h", "localhost", "mydb"),
            environment={"PGPASSWORD": "secret"},
            timeout_ms=3_600_000,
        ),
    }
    assert spec == expected[type_]


def test_the_seeds_on_failure_is_retry() -> None:
    written = {"type": "retry", "max_attempts": 3, "backoff_ms": 5000}
    assert job(on_failure=written).retry == Retry(max_attempts=3, delay_ms=5000)


def test_what_runs() -> None:
    assert job().argv == ("true",)
    assert job(cmd="two words").argv == ("two words",)
    assert job(cmd="a", args=["-b", "", "c\nd"]).argv == ("a", "-b", "", "c\nd")
    assert job(cmd=None, shell="one | line").argv == ("/bin/sh", "-c", "one | line")
    assert problems(cmd=None) == ["$.cmd cmd or shell is missing"]
    assert problems(shell="x") == ["$.shell cmd and shell stand together; give one of them"]
    assert problems(cmd=None, shell="x", args=["y"]) == [
        "$.args args go with cmd; write them into the shell line"
    ]


def test_keys_of_another_type() -> None:
    assert problems(image="x") == ["$.image image belongs to type container, not command"]
    with pytest.raises(InvalidSpec, match="cwd belongs to type command and container, not js"):
        typed("js", code="1", cwd="/")
    with pytest.raises(InvalidSpec, match="module or code is missing"):
        typed("js")
    with pytest.raises(InvalidSpec, match="image is missing"):
        typed("container")


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"timeout": "1h30m"}, "timeout_ms", 5_400_000),
        ({"timeout_secs": 60}, "timeout_ms", 60_000),
        ({"total_timeout_ms": 1}, "total_timeout_ms", 1),
        ({"schedule_timeout": "1m"}, "schedule_timeout_ms", 60_000),
        ({"idle_timeout": "1m"}, "idle_timeout_ms", 60_000),
        ({"expires": "1d"}, "expires_ms", 86_400_000),
        ({"kill_grace": "0s"}, "kill_grace_ms", 0),
        ({"kill_signal": "SIGINT"}, "kill_signal", "INT"),
        ({"umask": "022"}, "umask", 0o022),
        ({"umask": "0777"}, "umask", 0o777),
        ({"stdin": "input"}, "stdin", "input"),
        ({"resources": {"cpu": 0.5, "memory": "512MiB"}}, "resources", Resources(500, 2**29)),
        ({"resources": {"cpu": 2, "memory": 1024}}, "resources", Resources(2000, 1024)),
        (
            {"placement": {"labels": {"zone": "a"}, "node": None, "spread": True}},
            "placement",
            Placement(labels={"zone": "a"}, spread=True),
        ),
        ({"limits": {"nofile": 64, "fsize": "1MB"}}, "limits", Limits(64, 10**6)),
        ({"labels": {"team": "data", "n": 1}}, "labels", {"team": "data", "n": "1"}),
        (
            {"environment": {"A": "x\ny", "B": 1, "C": 1.5, "D": False}},
            "environment",
            {"A": "x\ny", "B": "1", "C": "1.5", "D": "false"},
        ),
        ({"trigger": {"delay": "10m"}}, "trigger", Trigger(delay_ms=600_000)),
        ({"trigger": {"at": "1970-01-01T00:00:01Z"}}, "trigger", Trigger(at_ms=1000)),
        ({"priority": 0}, "priority", 0),
        (
            {"retry": {"max_attempts": 2, "delay_ms": 7, "retry_on": ["oom"], "factor": 3}},
            "retry",
            Retry(max_attempts=2, delay_ms=7, retry_on=("oom",), factor=3.0),
        ),
        ({}, "node_lost", NodeLost(120_000, "fail")),
        ({"idempotent": True}, "node_lost", NodeLost(0, "requeue")),
        ({"idempotent": True, "node_lost": "fail"}, "node_lost", NodeLost(0, "fail")),
        ({"node_lost": "requeue"}, "node_lost", NodeLost(0, "requeue")),
        (
            {"node_lost": {"wait": "5m", "then": "requeue"}},
            "node_lost",
            NodeLost(300_000, "requeue"),
        ),
        ({"tasks": 7, "min_success": "80%"}, "min_success", 6),
        ({"tasks": 10, "min_success": "80%"}, "min_success", 8),
        ({"tasks": 10, "min_success": "1%"}, "min_success", 1),
        ({"tasks": TASKS, "min_success": 3}, "min_success", 3),
        ({"input": None}, "has_input", True),
        ({}, "has_input", False),
        ({"timeout": None}, "timeout_ms", 0),
    ],
)
def test_normal_form(given: dict[str, Any], field: str, expected: Any) -> None:
    assert getattr(job(**given), field) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "Nope"}, "$.name expected a name of a-z, 0-9, `.`, `_`, `-`, at most 63"),
        ({"name": "../etc"}, "$.name expected a name"),
        ({"name": "a\0"}, "$.name holds the character U+0000 at 1"),
        ({"name": None}, "$.name name is missing"),
        ({"type": "comand"}, '$.type expected command or container or js, got "comand"; did you'),
        ({"cmd": ""}, "$.cmd expected text that isn't empty"),
        ({"cmd": "a\nb"}, "$.cmd holds the character U+000A at 1"),
        ({"args": ["ok", 1]}, "$.args[1] expected text, got 1; quote it"),
        ({"args": ["a\x1b"]}, "$.args[0] holds the character U+001B at 1"),
        ({"args": ["\ud800"]}, "$.args[0] holds the character U+D800 at 0"),
        ({"args": "-v"}, '$.args expected a list, got "-v"'),
        ({"cwd": "/a\0b"}, "$.cwd holds the character U+0000 at 2"),
        ({"user": "a b"}, "$.user expected a user's name"),
        ({"umask": 77}, '$.umask expected octal text such as "077", got 77; quote it'),
        ({"umask": "088"}, "$.umask expected octal text"),
        ({"kill_signal": "TRM"}, "$.kill_signal expected TERM or INT"),
        ({"environment": {"A=B": "x"}}, '$.environment["A=B"] expected the name of an env'),
        ({"environment": {"A": None}}, "$.environment.A expected text or {secret: NAME}, got null"),
        ({"environment": {"A": {"secret": "S"}}}, "$.environment.A.secret expected a name"),
        ({"environment": {"A": {"secret": None}}}, "$.environment.A.secret secret is missing"),
        (
            {"timeout": 30},
            "$.timeout expected a duration such as 10s, 5m or 1h30m, got 30; timeout",
        ),
        ({"timeout": "0s"}, "$.timeout expected from 1 ms"),
        ({"timeout": "99999d"}, "$.timeout expected from 1 ms"),
        ({"timeout": "1h", "timeout_ms": 5}, "$.timeout_ms timeout says the same; give one of"),
        ({"timeout_secs": 1.5}, "$.timeout_secs expected a whole number"),
        ({"idempotent": "yes"}, '$.idempotent expected true or false, got "yes"; write true'),
        ({"priority": 101}, "$.priority expected a whole number from 0 to 100, got 101"),
        ({"priority": True}, "$.priority expected a whole number from 0 to 100, got true"),
        (
            {"resources": {"cpu": "2"}},
            '$.resources.cpu expected a number from 0.001 to 4096, got "2"',
        ),
        ({"resources": {"memory": "512"}}, "$.resources.memory expected a size such as 512MiB"),
        (
            {"resources": {"gpu": {"count": 1}}},
            '$.resources.gpu unknown key "gpu"; known here: cpu',
        ),
        ({"trigger": {"corn": "5m"}}, '$.trigger.corn unknown key "corn"; did you mean cron?'),
        (
            {"trigger": {"at": "2026-12-01T09:00:00"}},
            "$.trigger.at expected a moment with its zone",
        ),
        (
            {"trigger": {"at": "2026-12-01T09:00:00Z", "delay": "1s"}},
            "$.trigger at and delay stand together",
        ),
        ({"trigger": {"at": "2199-12-01T09:00:00Z"}}, "$.trigger.at more than ten years ahead"),
        (
            {"trigger": {"delay": "1h"}, "expires_secs": 60},
            "$.expires_secs it expires before it is",
        ),
        ({"retry": {}, "on_failure": {"type": "retry"}}, "$.on_failure retry says the same"),
        ({"on_failure": {"max_attempts": 2}}, "$.on_failure.type type is missing"),
        ({"retry": {"max_attempts": 0}}, "$.retry.max_attempts expected a whole number from 1"),
        ({"tasks": 0}, "$.tasks expected a whole number from 1 to 10000"),
        ({"tasks": TASKS + 1}, "$.tasks expected a whole number from 1 to 10000"),
        ({"tasks": 2, "min_success": 3}, "$.min_success more than there are tasks (2)"),
        ({"min_success": "101%"}, "$.min_success expected a share such as 80%"),
        ({"min_success": 0.5}, "$.min_success expected a count or a share"),
        ({"node_lost": {"wait": "1m"}}, "$.node_lost.then then is missing"),
        ({"node_lost": "ask"}, "$.node_lost expected requeue or fail"),
        ({"input": {"a": float("nan")}}, "$.input.a expected JSON, got NaN"),
        ({"input": [2**64]}, "$.input[0] expected JSON, got a value of type int"),
        ({"input": {1: 2}}, '$.input["1"] a key must be text'),
        ({"input": b"x"}, "$.input expected JSON, got a value of type bytes"),
        ({"labels": {"a b": "x"}}, '$.labels["a b"] expected a label'),
        ({"nmae": "x"}, '$.nmae unknown key "nmae"; did you mean name?'),
        ({"\x1b[31m": 1}, '$["\\u001b[31m"] unknown key "\\u001b[31m"'),
    ],
)
def test_problem(given: dict[str, Any], expected: str) -> None:
    found = problems(**given)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_all_problems_are_listed_and_what_follows_from_one_is_not() -> None:
    found = problems(name="A", tasks="5", min_success=3, cmd=1, retry={"bakoff": 1, "factor": 0})
    assert [problem.split()[0] for problem in found] == [
        "$.name",
        "$.cmd",
        "$.tasks",
        "$.retry.bakoff",
        "$.retry.factor",
    ]


def test_the_search_ends_after_many_problems() -> None:
    found = problems(args=list(range(10_000)))
    assert len(found) == SPEC_PROBLEMS + 1
    assert found[-1] == f"$ the search ended after {SPEC_PROBLEMS} problems"


def test_keys_are_filled_with_data_of_the_input() -> None:
    spec = job(
        input={"user": {"id": 7}, "tags": ["a", True], "odd": "${input.user.id}"},
        concurrency=[
            {"key": "u-${input.user.id}-${input.tags.1}", "max": 2},
            {"key": "${input.odd}", "max": 1, "on_limit": "fail"},
        ],
        idempotency={"key": "k/${input.tags.0}", "ttl": "1h"},
    )
    assert spec.concurrency == (
        Concurrency("u-7-true", 2),
        Concurrency("${input.user.id}", 1, "fail"),  # what was put in isn't read again
    )
    assert spec.idempotency_key == "k/a"
    assert spec.idempotency_ttl_ms == 3_600_000


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("${input.nobody}", 'the input has no "input.nobody"'),
        ("${input.list.9}", 'the input has no "input.list.9"'),
        ("${input.list}", '"input.list" is no text, number or boolean'),
        ("${env.HOME}", 'expected ${input.NAME}, got "${env.HOME}"'),
        ("${input.a", 'expected ${input.NAME}, got "${input.a"'),
        ("${input.__class__.x()}", 'expected ${input.NAME}, got "${input.__class__.x()}"'),
        ("a", 'the key "a" stands here twice'),
    ],
)
def test_a_key_that_can_not_be_filled(key: str, expected: str) -> None:
    concurrency = [{"key": "a", "max": 1}, {"key": key, "max": 1}]
    assert problems(concurrency=concurrency, input={"list": [1]}) == [
        f"$.concurrency[1].key {expected}"
    ]


def test_the_input_is_checked_by_its_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert job(input={"n": 1}, input_schema=schema).input == {"n": 1}
    assert problems(input={"n": "1"}, input_schema=schema) == [
        "$.input.n '1' is not of type 'integer'"
    ]
    assert problems(input_schema=schema) == ["$.input input is missing; input_schema asks for it"]
    assert problems(output_schema={"type": "objekt"})[0].startswith("$.output_schema.type ")


def test_sizes() -> None:
    assert problems(args=["x" * ARGV_BYTES])[0].startswith("$.args the arguments take 131078 bytes")
    assert "ENV_BYTES" in problems(environment={"A": "x" * ENV_BYTES})[0]
    with pytest.raises(TooLarge, match="SPEC_BYTES is 49152"):
        job(input="x" * SPEC_BYTES)
    assert len(job(input="x" * (SPEC_BYTES - 1000)).input) == SPEC_BYTES - 1000


def test_what_is_no_mapping() -> None:
    with pytest.raises(InvalidSpec, match="expected a mapping with name and type, got a list"):
        parse_job(b"- 1", now_ms=NOW_MS)


def test_the_schema_is_a_schema() -> None:
    from jsonschema import Draft202012Validator

    schema = job_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"name": "x", "type": "command", "cmd": "a", "timeout": "1h"})
    assert validator.is_valid({"name": "x", "type": "js", "code": "1", "min_success": "80%"})
    assert not validator.is_valid({"name": "x", "type": "js", "cmd": "a"})
    assert not validator.is_valid({"name": "x", "type": "command", "timeout": 5})
    assert not validator.is_valid({"type": "command"})
