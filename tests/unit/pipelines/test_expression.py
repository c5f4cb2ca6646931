"""The language of `depends` and `if`."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.dag.expression import ExpressionError, judge, names_in, parse_expression

NAMES = {"a.succeeded": True, "b.failed": False, "n": 3, "x.y[0].z": "prod", "none": None}


def value(text: str) -> Any:
    return judge(parse_expression(text), NAMES.get)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.succeeded && !b.failed", True),
        ("b.failed || a.succeeded", True),
        ("a.succeeded && b.failed || a.succeeded", True),  # && binds more
        ("a.succeeded && (b.failed || b.failed)", False),
        ("!!a.succeeded", True),
        ("n > 2 && n<=3 && n != 4", True),
        ("n == 3.0", True),
        ("${x.y[0].z} == 'prod'", True),
        ('x.y[0].z == "dev"', False),
        ("none == null && !none", True),
        ("n == '3'", False),  # of different types
        ("n < '3'", False),
        ("missing != 1", True),
        ("-1 < n", True),
        ("true && 'text'", True),
    ],
)
def test_it_means(text: str, wanted: bool) -> None:
    assert bool(value(text)) is wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a &&", "expected a name, a literal or a parenthesis, got the end (at character 5)"),
        ("a.b ~ c", 'can\'t read "~ c" (at character 5)'),
        ("(a || b", "this parenthesis is never closed (at character 1)"),
        ("a b", "expected &&, || or the end (at character 3)"),
        ("1 < 2 < 3", "comparisons don't chain; join them by && (at character 7)"),
        ("", "expected a name, a literal or a parenthesis, got the end (at character 1)"),
        ("a = b", 'can\'t read "= b" (at character 3)'),
        ("f(1)", "expected &&, || or the end (at character 2)"),
        ("a" * 5_000, "longer than 4096 bytes (EXPRESSION_BYTES) (at character 1)"),
        ("(" * 40 + "a" + ")" * 40, "nested deeper than 32 (EXPRESSION_DEPTH) (at character 34)"),
        ("!" * 1000 + "a", "nested deeper than 32 (EXPRESSION_DEPTH) (at character 34)"),
    ],
)
def test_what_is_none_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse_expression(text)
    assert str(error.value) == message


def test_names_are_told_in_order() -> None:
    assert list(names_in(parse_expression("b.failed && (a || !c-d.ended)"))) == [
        "b.failed",
        "a",
        "c-d.ended",
    ]


def test_a_wide_text_is_judged_without_a_deep_stack() -> None:
    text = " && ".join(["n"] * 600)
    assert value(text) is True
