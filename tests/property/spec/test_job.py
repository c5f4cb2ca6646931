"""Any input has an answer, and JSON and YAML are two ways to write the same spec."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from actors.core.spec import job_from_mapping, job_schema, parse_job, read_output
from actors.core.spec.form import COMMON, OWN
from actors.errors import InvalidSpec, JobdError, TooLarge
from actors.limits import SPEC_BYTES
from actors.model.codec import decode, encode
from actors.model.spec import JobSpec

NOW_MS = 1_800_000_000_000
KEYS = sorted({*COMMON, *(key for own in OWN.values() for key in own)})
INNER_KEYS = ["key", "max", "at", "delay", "then", "wait_ms", "secret", "cpu", "memory", "$ref"]
WORDS = ["command", "js", "container", "retry", "fail", "1h", "512MiB", "80%", "${input.a}", "#"]

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(0, 100)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
    | st.binary(max_size=4)
)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(INNER_KEYS) | st.text(max_size=4), inner, max_size=4)
        | st.dictionaries(st.integers(), inner, max_size=1)
    ),
    max_leaves=12,
)
mappings = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), anything, max_size=8)


@settings(max_examples=300, deadline=None)
@given(mappings, st.sampled_from(["command", "container", "js", None]))
def test_any_mapping_parses_or_says_why_not(mapping: dict[str, Any], type_: str | None) -> None:
    if type_ is not None:
        mapping = {"name": "x", "cmd": "x", **mapping, "type": type_}
    with contextlib.suppress(InvalidSpec, TooLarge):
        spec = job_from_mapping(mapping, now_ms=NOW_MS)
        assert decode("spec", encode(spec)) == spec


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
@example(b'{"a":' * 40)
@example(b"? ")
@example(b"a: !<\n")
@example(b"%YAML 9.9\n---\na: 1")
@example(b"\xef\xbb\xbf")
@example(b"a: \xe2\x80\xa8b: 1")
def test_any_text_parses_or_says_why_not(source: bytes) -> None:
    with pytest.raises(JobdError) as caught:  # no random text is a job
        parse_job(source, now_ms=NOW_MS)
    assert isinstance(caught.value, InvalidSpec | TooLarge)
    if isinstance(caught.value, InvalidSpec):
        assert all(p.line >= 1 and p.column >= 1 for p in caught.value.problems)


# Text that JSON's escapes and YAML's share.
texts = st.text(st.characters(max_codepoint=0xD7FF, exclude_categories=["Cc", "Cs"]), max_size=12)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
durations = st.sampled_from(["10s", "1h30m", "1d", "1500ms", "1.5h"])
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)
variables: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), texts, max_size=3
)
specs = st.fixed_dictionaries(
    {
        "name": names,
        "type": st.just("command"),
        "cmd": texts.filter(bool),
        "tasks": st.integers(100, 10_000),
    },
    optional={
        "args": st.lists(texts, max_size=3),
        "environment": variables,
        "input": json_values,
        "timeout": durations,
        "expires_secs": st.integers(1, 10**6),
        "min_success": st.integers(1, 100) | st.integers(1, 100).map(lambda n: f"{n}%"),
        "retry": st.fixed_dictionaries(
            {"max_attempts": st.integers(1, 9)},
            optional={"delay": durations, "factor": st.floats(1, 100)},
        ),
        "resources": st.fixed_dictionaries(
            {"cpu": st.floats(0.001, 64), "memory": st.just("1MiB")}
        ),
        "trigger": st.just({"at": "2027-01-15T08:00:00.5+01:00"}),
        "idempotent": st.booleans(),
        "node_lost": st.sampled_from(["requeue", {"wait": "1m", "then": "fail"}]),
        "concurrency": st.just([{"key": "k", "max": 2}]),
    },
)


def block_yaml(value: Any, indent: str = "") -> str:
    """Write a value as block YAML with quoted text; JSON's scalars are YAML's."""
    if isinstance(value, dict) and value:
        lines = [
            f"{indent}{json.dumps(key)}:\n{block_yaml(item, indent + '  ')}"
            for key, item in value.items()
        ]
    elif isinstance(value, list) and value:
        lines = [f"{indent}-\n{block_yaml(item, indent + '  ')}" for item in value]
    else:
        return f"{indent}{json.dumps(value)}\n"
    return "".join(lines)


@settings(max_examples=150, deadline=None)
@given(specs)
def test_json_and_yaml_say_the_same(mapping: dict[str, Any]) -> None:
    spec = job_from_mapping(mapping, now_ms=NOW_MS)
    as_json = json.dumps(mapping).encode()
    assert parse_job(as_json, now_ms=NOW_MS, filename="job.json") == spec
    assert parse_job(as_json, now_ms=NOW_MS) == spec
    assert parse_job(block_yaml(mapping).encode(), now_ms=NOW_MS) == spec
    assert isinstance(spec, JobSpec)
    assert len(encode(spec)) <= SPEC_BYTES
    assert 1 <= spec.needed <= spec.tasks
    assert spec.argv


SCHEMA = Draft202012Validator(job_schema())


@settings(max_examples=100, deadline=None)
@given(specs)
def test_what_is_accepted_is_what_the_schema_says(mapping: dict[str, Any]) -> None:
    job_from_mapping(mapping, now_ms=NOW_MS)
    assert SCHEMA.is_valid(mapping)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()), mappings)
def test_any_output_has_an_answer(line: bytes, schema: dict[str, Any]) -> None:
    output, reason, detail = read_output(line, schema)
    assert (output is None) == (reason != "") == (detail != "")
    assert reason in ("", "output", "output_schema")
