"""What an attempt wrote as its output."""

from __future__ import annotations

import pytest

from actors.core.spec import read_output

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_output_as_it_is() -> None:
    assert read_output(None, None) == (None, "", "")
    assert read_output(b' {"n": 1} \n', None) == (b'{"n": 1}', "", "")
    assert read_output(b'{"n": 1}', SCHEMA) == (b'{"n": 1}', "", "")
    assert read_output(b"null", None) == (b"null", "", "")


@pytest.mark.parametrize(
    "line",
    [b"", b"hello", b"{'n': 1}", b"NaN", b"[1,]", b"[" * 100_000, b'"\xff"', b'"\\ud800"', b"1 2"],
)
def test_what_is_no_json(line: bytes) -> None:
    output, reason, detail = read_output(line, SCHEMA)
    assert (output, reason) == (None, "output")
    assert detail.startswith("the output's last line is ")


def test_what_does_not_satisfy_the_schema() -> None:
    assert read_output(b'{"n": "1"}', SCHEMA) == (
        None,
        "output_schema",
        "$.n: '1' is not of type 'integer'",
    )
    assert read_output(None, SCHEMA)[1] == "output_schema"


def test_the_first_three_problems_are_told() -> None:
    _, reason, detail = read_output(b"[1, 2, 3, 4]", {"items": {"type": "string"}})
    assert reason == "output_schema"
    assert [part.split(":")[0] for part in detail.split("; ")] == ["$[0]", "$[1]", "$[2]"]
