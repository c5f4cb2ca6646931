"""Reading text: YAML without the traps of 1.1, JSON without what JSON doesn't have."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from actors.core.spec import yaml_text
from actors.core.spec.document import Document, read_document
from actors.errors import InvalidSpec, TooLarge
from actors.limits import SPEC_BYTES, SPEC_DEPTH

AS_WRITTEN = frozenset({"environment"})


def read(text: str, filename: str = "") -> Document:
    return read_document(text.encode(), filename, AS_WRITTEN)


def value(text: str, filename: str = "") -> Any:
    document = read(text, filename)
    assert not document.reading.problems
    return document.value


def problems(text: str, filename: str = "") -> list[str]:
    """What is wrong with a text, as `line:column path message`."""
    with pytest.raises(InvalidSpec) as caught:
        document = read(text, filename)
        document.reading.problems.raise_if_any(document.reading.place)
    return [f"{p.line}:{p.column} {p.path} {p.message}" for p in caught.value.problems]


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("077", "077"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("2:30", "2:30"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        (".inf", ".inf"),
        ("~", None),
        ("", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("-12", -12),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ('"1"', "1"),
        ("'true'", "true"),
        ("|-\n  one\n  two", "one\ntwo"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_yaml_scalar(scalar: str, expected: Any) -> None:
    found = value(f"a: {scalar}\n")["a"]
    assert found == expected
    assert type(found) is type(expected)


def test_yaml_keys_are_text() -> None:
    assert value("on: 1\n80: 2\nnull: 3\n") == {"on": 1, "80": 2, "null": 3}


def test_some_scalars_stay_as_written() -> None:
    text = "environment: {V: 1.10, N: 007, B: True, E: , Q: '1'}\nother: 1.10\n"
    assert value(text) == {
        "environment": {"V": "1.10", "N": "007", "B": "True", "E": None, "Q": "1"},
        "other": 1.1,
    }


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_both_loaders_read_alike(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(yaml, loader):
        pytest.skip("this PyYAML was built without libyaml")
    monkeypatch.setattr(yaml_text, "_LOADER", getattr(yaml, loader))
    assert value("a: [1, {b: é😀}]\nc:\n- |\n  x\n") == {"a": [1, {"b": "é😀"}], "c": ["x\n"]}
    assert problems("é: 1\nb: &x 1\n") == ["2:1 $.b the anchor &x is refused; write the value out"]
    assert problems("a: [1\nb: 2")[0].startswith("2:")
    assert problems("- " * 100) == [f"1:65 $ nested deeper than SPEC_DEPTH ({SPEC_DEPTH})"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2", '2:1 $.a the key "a" stands here twice'),
        ("a: 1\nb: *a", "2:1 $.b the alias *a is refused; write the value out"),
        ("a: !!str 1", "1:1 $.a a tag is refused; quote the value to make it text"),
        ("a: !!python/object:os.x {}", "1:1 $.a a tag is refused; quote the value to make it text"),
        ("? [a]\n: 1", "1:3 $ a key must be text"),
        ("a: 1\n--- \nb: 2", "2:1 $ one spec per text; a second begins"),
        ("a: 99999999999999999999", '1:1 $.a the number "99999999999999999999" is out of range'),
        ("a: 1e999", '1:1 $.a the number "1e999" is out of range'),
        ("a: {b: [1, {c: 1, c: 2}]}", '1:19 $.a.b[1].c the key "c" stands here twice'),
    ],
)
def test_yaml_problem(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_json() -> None:
    text = '{"a": [1, -2.5e3, true, null, "\\ud83d\\ude00\\/"], "b": {}, "c": [] , "n": 0}\n'
    expected = {"a": [1, -2500.0, True, None, "😀/"], "b": {}, "c": [], "n": 0}
    assert value(text) == expected
    assert value(text, "job.json") == expected
    assert value("\ufeff" + text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "a": 2}', '1:10 $.a the key "a" stands here twice'),
        ('{"a": NaN}', "1:2 $.a NaN is no JSON value"),
        ('{"a": -Infinity}', "1:2 $.a -Infinity is no JSON value"),
        ('{"a": 1e999}', '1:2 $.a the number "1e999" is out of range'),
        ('{"a": [1,\n 2,]}', "2:4 $ a JSON value is missing here"),
        ('{"a": 1} x', "1:10 $ more text after the end of the JSON value"),
        ('{"a" 1}', "1:6 $ `:` is missing here"),
        ('{"a": 01}', '1:7 $ "01" is no JSON value'),
        ('{"a": "x', "1:7 $ unterminated string starting at"),
        ('{"a": "x\ny"}', "1:9 $ invalid control character at"),
        ("{a: 1}", "1:2 $ a key in double quotes is missing here"),
        ("", "1:1 $ a JSON value is missing here"),
        ("[1 2]", "1:4 $ `,` or `]` is missing here"),
    ],
)
def test_json_problem(text: str, expected: str) -> None:
    assert problems(text, "job.json") == [expected]


def test_what_opens_like_json_may_be_a_yaml_flow_mapping() -> None:
    assert value('{"a": b, c: [d, e]}') == {"a": "b", "c": ["d", "e"]}
    assert value("[a, b]") == ["a", "b"]


def test_what_is_neither_is_reported_as_json() -> None:
    assert problems('{"a": 1') == ["1:8 $ `,` or `}` is missing here"]


def test_text_that_is_not_utf_8() -> None:
    with pytest.raises(InvalidSpec) as caught:
        read_document(b"a: 1\nb: \xff", "", AS_WRITTEN)
    problem = caught.value.problems[0]
    assert (problem.line, problem.column) == (2, 4)
    assert problem.message == "not UTF-8 at byte 8"


@pytest.mark.parametrize("text", ["- 1\n", "[]"])
def test_more_values_than_a_spec_can_hold(text: str) -> None:
    many = "[" + "1," * SPEC_BYTES + "1]" if text == "[]" else text * (SPEC_BYTES + 1)
    with pytest.raises(TooLarge, match="SPEC_BYTES"):
        read(many)


def test_depth_is_allowed_up_to_the_limit() -> None:
    deep = "[" * SPEC_DEPTH + "]" * SPEC_DEPTH
    assert value(deep) == value(deep, "a.json")
    assert "SPEC_DEPTH" in problems("[" + deep + "]")[0]
