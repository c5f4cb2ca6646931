"""Pipeline specs: what they become, and everything that is wrong with its place."""

from __future__ import annotations

import pytest

from actors.core.pipeline_spec import parse_pipeline, pipeline_from_mapping, written_form
from actors.errors import InvalidSpec
from actors.model.pipeline import Gate, InputFrom, MapOver, RunLimit

NIGHTLY = """
name: nightly-report
schedule: "0 2 * * *"
jobs:
  fetch:
    type: js
    module: fetch_data.js

  transform:
    type: container
    image: transformer:latest
    needs: [fetch]
    input_from:
      job: fetch

  validate:
    type: command
    cmd: ./validate.sh
    needs: [transform]
    continue_on_failure: true

  publish:
    type: js
    module: publish_report.js
    needs: [validate]
    on_failure:
      type: retry
      max_attempts: 3
      backoff_ms: 5000
"""


_WRONG = """
name: x
inputs: {properties: {env: {type: string}}}
jobs:
  a: {type: command, cmd: echo, args: ["${inputs.evn}", "${HOME}", "${steps.c.output.x}"]}
  b: {type: command, shell: "echo ${steps.a.output}", needs: [a, bb], if: "steps.a.output >"}
  c: {type: command, cmd: echo, prioritty: 3}
  e: {gate: {timeout: 5}, depends: "a.succeded"}
  f: {pipeline: child, cmd: x, input: "${item}"}
  g: {needs: [g]}
finally:
  a: {type: command, cmd: echo}
  z: {type: command, cmd: echo, needs: [a], trigger: {cron: "* * * * *"}}
outputs: {x: "${steps.nope.output}"}
concurrency: {max: 1, key: "${steps.a.output}"}
"""
_TOLD = [
    (5, 40, "$.jobs.a.args[0]", 'the pipeline has no input "evn"; did you mean env?'),
    (
        6,
        22,
        "$.jobs.b.shell",
        "${steps.a.output} would become code here; put it into environment and use that",
    ),
    (6, 66, "$.jobs.b.needs[1]", 'there is no step "bb"; did you mean b?'),
    (
        6,
        71,
        "$.jobs.b.if",
        "expected a name, a literal or a parenthesis, got the end (at character 17)",
    ),
    (7, 33, "$.jobs.c.prioritty", 'unknown key "prioritty"; did you mean priority?'),
    (
        8,
        14,
        "$.jobs.e.gate.timeout",
        "expected a duration such as 10s, 5m or 1h30m, got 5; timeout_secs takes whole seconds",
    ),
    (
        8,
        27,
        "$.jobs.e.depends",
        '"succeded" is no state; known: succeeded, failed, cancelled, skipped, omitted, ended',
    ),
    (9, 24, "$.jobs.f.cmd", "cmd belongs to a job; this step is a pipeline"),
    (9, 32, "$.jobs.f.input", "item is for steps with `map`"),
    (10, 3, "$.jobs.g.type", "a step has a type, a pipeline or a gate"),
    (10, 15, "$.jobs.g.needs[0]", "g names itself"),
    (12, 3, "$.finally.a", "a step a stands under jobs already"),
    (
        13,
        55,
        "$.finally.z.trigger.cron",
        "cron starts a pipeline, not a step: a step starts by what it needs,"
        " and may wait (delay, at)",
    ),
    (14, 11, "$.outputs.x", 'there is no step "nope"'),
    (
        15,
        23,
        "$.concurrency.key",
        "only ${inputs.NAME} is known before a run begins",
    ),
]


def problems(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(InvalidSpec) as error:
        parse_pipeline(text.encode(), now_ms=0)
    return [tuple(problem) for problem in _of(error.value)]  # type: ignore[misc]


def _of(error: InvalidSpec) -> list[tuple[int, int, str, str]]:
    return [(each.line, each.column, each.path, each.message) for each in error.problems]


def test_the_nightly_report_is_one() -> None:
    read = parse_pipeline(NIGHTLY.encode(), now_ms=0)
    fetch, transform, validate, publish = read.spec.steps
    assert read.warnings == ()
    assert read.recurrence is not None
    assert read.recurrence.cron == ("0 2 * * *",)
    assert fetch.job == {"type": "js", "module": "fetch_data.js"}
    assert transform.input_from == (InputFrom("", "fetch"),)
    assert validate.continue_on_failure
    assert validate.needs == ("transform",)
    assert publish.job["on_failure"] == {"type": "retry", "max_attempts": 3, "backoff_ms": 5000}


def test_every_key_has_its_normal_form_and_back() -> None:
    obj = {
        "name": "all",
        "labels": {"team": "data"},
        "inputs": {"properties": {"env": {"type": "string", "default": "dev"}}},
        "timeout": "1h",
        "concurrency": {"max": 2, "key": "${inputs.env}", "on_limit": "cancel_running"},
        "jobs": {
            "list": {"type": "command", "cmd": "ls", "environment": {"ENV": "${inputs.env}"}},
            "each": {
                "type": "command",
                "cmd": "echo",
                "args": ["${item.name}", "${map.index}"],
                "map": {
                    "over": "${steps.list.output.items}",
                    "parallelism": 2,
                    "min_success": "80%",
                },
            },
            "ok": {"gate": {"timeout": "5m", "on_timeout": "approve"}, "needs": "each"},
            "child": {
                "pipeline": "other",
                "input_from": {"a": {"job": "list", "path": "$.n"}, "b": {"job": "each"}},
                "depends": "ok.succeeded && !each.failed",
                "if": "inputs.env == 'prod'",
            },
        },
        "finally": {"clean": {"type": "command", "cmd": "rm", "args": ["${run.state}"]}},
        "outputs": {"n": "${steps.list.output.n}"},
    }
    spec = pipeline_from_mapping(obj, now_ms=0).spec
    steps = {step.name: step for step in spec.steps}
    assert spec.concurrency == RunLimit(2, "${inputs.env}", "cancel_running")
    assert spec.timeout_ms == 3_600_000
    assert steps["each"].map == MapOver("${steps.list.output.items}", 2, -1, 80)
    assert steps["ok"].gate == Gate(300_000, "approve")
    assert steps["ok"].needs == ("each",)
    assert steps["child"].input_from == (
        InputFrom("a", "list", ("n",)),
        InputFrom("b", "each", ()),
    )
    assert steps["clean"].is_final
    assert pipeline_from_mapping(written_form(spec), now_ms=0).spec == spec


def test_everything_wrong_is_told_with_its_place() -> None:
    assert problems(_WRONG) == _TOLD


def test_a_cycle_is_shown_as_a_path() -> None:
    text = "name: x\njobs:\n" + "".join(
        f"  {a}: {{type: command, cmd: echo, needs: [{b}]}}\n"
        for a, b in (("start", "one"), ("one", "two"), ("two", "three"), ("three", "one"))
    )
    assert problems(text) == [(4, 3, "$.jobs.one", "a cycle: one → two → three → one")]


def test_a_large_one_is_refused_in_one_sentence() -> None:
    text = "name: x\njobs:\n" + "".join(
        f"  s{i}: {{type: command, cmd: echo}}\n" for i in range(10_000)
    )
    assert problems(text) == [(2, 1, "$.jobs", "10000 steps; PIPELINE_STEPS is 1000")]
    deep = f"name: x\njobs: {{a: {{type: command, cmd: a, if: '{'(' * 99}x{')' * 99}'}}}}"
    (found,) = problems(deep)
    assert found[3].startswith("nested deeper than 32 (EXPRESSION_DEPTH)")


def test_a_chain_of_all_steps_is_read_in_time() -> None:
    jobs = {
        f"s{i}": {"type": "command", "cmd": "a", **({"needs": [f"s{i - 1}"]} if i else {})}
        for i in reversed(range(1000))
    }
    assert len(pipeline_from_mapping({"name": "x", "jobs": jobs}, now_ms=0).spec.steps) == 1000


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        ({"type": "integer"}, {"type": "number"}, ""),
        ({"type": "number"}, {"type": "integer"}, "error"),
        ({"type": "string"}, {"pattern": "^a"}, "warning"),
        (None, {"type": "string"}, "warning"),
        ({"type": "object", "properties": {"n": {}}}, {"required": ["n"]}, "error"),
    ],
)
def test_edges_are_typed(source: object, target: object, wanted: str) -> None:
    first = {"type": "command", "cmd": "a"} | ({} if source is None else {"output_schema": source})
    then = {"type": "command", "cmd": "b", "input_from": {"job": "a"}, "input_schema": target}
    obj = {"name": "x", "jobs": {"a": first, "b": then}}
    if wanted == "error":
        with pytest.raises(InvalidSpec) as error:
            pipeline_from_mapping(obj, now_ms=0)
        (problem,) = error.value.problems
        assert problem.path == "$.jobs.b.input_from"
        return
    warnings = pipeline_from_mapping(obj, now_ms=0).warnings
    assert [warning.path for warning in warnings] == (["$.jobs.b.input_from"] if wanted else [])


def test_parts_of_outputs_are_typed_too() -> None:
    output = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": {"type": "string"}}},
        "required": ["rows"],
        "additionalProperties": False,
    }
    wanted = {"type": "object", "properties": {"row": {"type": "integer"}}}
    obj = {
        "name": "x",
        "jobs": {
            "a": {"type": "command", "cmd": "a", "output_schema": output},
            "b": {
                "type": "command",
                "cmd": "b",
                "input": {"row": "${steps.a.output.rows[0]}"},
                "input_schema": wanted,
            },
            "c": {"type": "command", "cmd": "c", "args": ["${steps.a.output.row}"]},
            "d": {
                "type": "command",
                "cmd": "d",
                "map": {"over": "${steps.a.output.rows}"},
                "input_schema": {"type": "integer"},
            },
        },
    }
    with pytest.raises(InvalidSpec) as error:
        pipeline_from_mapping(obj, now_ms=0)
    assert [(each.path, each.message) for each in error.value.problems] == [
        (
            "$.jobs.b.input.row",
            "the output of a doesn't fit the input_schema: string is not taken; integer is",
        ),
        ("$.jobs.c.args[0]", "the output of a has no .row: its output_schema has none"),
        (
            "$.jobs.d.map.over",
            "the output of a doesn't fit the input_schema: string is not taken; integer is",
        ),
    ]
