"""Subsumption against a validator: `yes` has no counterexample among values that are drawn."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from actors.core.pipeline_spec import subsumes

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "bb", 1.5])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=6,
)
_LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["null", "boolean", "string", "number", "integer"])}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["number", "integer"])},
        optional={
            "minimum": st.integers(-2, 2),
            "maximum": st.integers(-2, 2),
            "exclusiveMinimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={"minLength": st.integers(0, 2), "maxLength": st.integers(0, 2)},
    ),
    st.fixed_dictionaries({"enum": st.lists(_SCALARS, min_size=1, max_size=3)}),
    st.just({}),
)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("array")},
            optional={"items": inner, "minItems": st.integers(0, 2), "maxItems": st.integers(0, 3)},
        ),
        st.fixed_dictionaries(
            {"type": st.just("object")},
            optional={
                "properties": st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
                "required": st.lists(st.sampled_from("xyz"), unique=True, max_size=2),
                "additionalProperties": st.one_of(st.booleans(), inner),
            },
        ),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries(
            {
                "type": st.lists(
                    st.sampled_from(["null", "string", "integer"]), min_size=1, unique=True
                )
            }
        ),
    )


_SCHEMAS = st.recursive(_LEAVES, _nested, max_leaves=5)


@settings(max_examples=400, deadline=None)
@given(narrow=_SCHEMAS, wide=_SCHEMAS, values=st.lists(_VALUES, min_size=5, max_size=20))
def test_yes_has_no_counterexample(narrow: Any, wide: Any, values: list[Any]) -> None:
    if subsumes(wide, narrow).answer != "yes":
        return
    for value in values:
        if Draft202012Validator(narrow).is_valid(value):
            assert Draft202012Validator(wide).is_valid(value), (narrow, wide, value)


@settings(max_examples=200, deadline=None)
@given(schema=_SCHEMAS)
def test_a_schema_takes_itself_and_true_takes_all(schema: Any) -> None:
    assert subsumes(schema, dict(schema)).answer == "yes"
    assert subsumes(True, schema).answer == "yes"
    assert subsumes({}, schema).answer == "yes"


_NO = [
    ({"type": "integer"}, {"type": "string"}),
    ({"type": "integer"}, {}),
    ({"type": "number", "maximum": 5}, {"type": "number"}),
    ({"enum": ["a"]}, {"type": "string"}),
    ({"type": "object", "required": ["n"]}, {"type": "object"}),
    ({"type": "array", "items": {"type": "null"}}, {"type": "array"}),
    ({"anyOf": [{"type": "null"}, {"type": "string"}]}, {"type": "integer"}),
    (
        {"type": "object", "additionalProperties": False},
        {"type": "object", "properties": {"x": {}}},
    ),
]


def test_no_is_said_of_what_does_not_fit() -> None:
    for wide, narrow in _NO:
        assert subsumes(wide, narrow).answer == "no", (wide, narrow)


def test_what_is_not_compared_is_unknown() -> None:
    assert subsumes({"not": {"type": "string"}}, {"type": "integer"}).answer == "unknown"
    assert subsumes({"type": "integer"}, {"$ref": "#/$defs/x"}).answer == "unknown"
    assert subsumes({"pattern": "a"}, {"type": "string"}).answer == "unknown"
