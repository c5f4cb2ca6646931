"""Hostile specs: each a clear error, in bounded time, and nothing is done on their behalf."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from actors.core.spec import job_from_mapping, parse_job, read_output
from actors.core.spec.json_schema import STEPS
from actors.errors import InvalidSpec, TooLarge
from actors.limits import SPEC_DEPTH, SPEC_FILE_BYTES

NOW_MS = 1_800_000_000_000
FULL = SPEC_FILE_BYTES - 64
SECONDS = 5.0  # on a slow machine; each takes less than one here

ALIAS_BOMB = b"a: &a [lol, lol]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % ((c, c) + (c - 1,) * 9)
    for c in b"bcdefghi"
)
# name: (source, what the error says)
INVALID: dict[str, tuple[bytes, str]] = {
    "alias bomb": (ALIAS_BOMB, "the anchor &a is refused"),
    "self alias": (b"name: &a [*a]", "the anchor &a is refused"),
    "deep json": (b"[" * 100_000, "SPEC_DEPTH"),
    "deep json object": (b'{"a":' * 100_000, "SPEC_DEPTH"),
    "deep closed json": (b"[" * 100_000 + b"]" * 100_000, "SPEC_DEPTH"),
    "deep yaml flow": (b"a: " + b"[" * 100_000, "SPEC_DEPTH"),
    "deep yaml mapping": (b"a: " + b"{a: " * 100_000, "SPEC_DEPTH"),
    "deep yaml block": (b"- " * (FULL // 2), "SPEC_DEPTH"),
    "complex keys": (b"? " * (FULL // 2), "a key must be text"),
    "python object": (b"name: !!python/object/apply:os.system [id]", "a tag is refused"),
    "merge key": (b"<<: {name: x}\nname: y\ntype: command\ncmd: x", 'unknown key "<<"'),
    "the same key again and again": (b"a: 1\n" * 5_000, "stands here twice"),
    "unknown keys": (json.dumps({f"k{i}": i for i in range(40_000)}).encode(), "unknown key"),
    "a long key": (b'{"' + b"a" * FULL + b'": 1}', "unknown key"),
    "a long number": (b'{"priority": ' + b"9" * FULL + b"}", "out of range"),
    "a long yaml number": (b"priority: " + b"9" * FULL, "out of range"),
    "a long exponent": (b'{"priority": 1e' + b"9" * FULL + b"}", "out of range"),
    "a long name": (b'{"name": "' + b"a" * FULL + b'"}', "expected a name"),
    "a long comment": (b"#" * FULL, "expected a mapping"),
    "an open string": (b'{"a": "' + b'\\"' * (FULL // 2), "nterminated string"),
    "nul": (b"name: x\0", "control characters"),
    "nul escaped": (b'{"name": "x", "type": "command", "cmd": "a\\u0000"}', "U+0000"),
    "nul in an argument": (b'name: x\ntype: command\ncmd: a\nargs: ["a\\0"]', "U+0000"),
    "traversal in a name": (b"name: ../../etc/passwd", "expected a name"),
    "traversal in a module": (b"name: x\ntype: js\nmodule: ../../x.js", "a module's name"),
    "not utf-8": (b"name: \xc3\x28", "not UTF-8"),
    "utf-16": ("name: x".encode("utf-16"), "not UTF-8"),
    "terminal escapes": (b'{"\\u001b]0;x\\u0007": 1}', "u001b]0;x"),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid(name: str) -> None:
    source, expected = INVALID[name]
    began = time.monotonic()
    with pytest.raises(InvalidSpec) as caught:
        parse_job(source, now_ms=NOW_MS)
    assert time.monotonic() - began < SECONDS
    messages = [problem.message for problem in caught.value.problems]
    assert any(expected in message for message in messages)
    told = "".join(f"{p.path}{p.message}" for p in caught.value.problems)
    assert len(told) < 40_000
    assert told.isprintable()


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        (b"x" * 5_000_000, "SPEC_FILE_BYTES"),
        (b"x" * (SPEC_FILE_BYTES + 1), "SPEC_FILE_BYTES"),
        (b'{"input": [' + b"[]," * (FULL // 3 - 20) + b"[]]}", "SPEC_BYTES"),
        (b"a: 1\n" * (FULL // 5), "SPEC_BYTES"),
        (b'{"name":"x","type":"command","cmd":"x","input":"' + b"x" * 60_000 + b'"}', "SPEC_BYTES"),
    ],
)
def test_too_large(source: bytes, limit: str) -> None:
    began = time.monotonic()
    with pytest.raises(TooLarge, match=limit):
        parse_job(source, now_ms=NOW_MS)
    assert time.monotonic() - began < SECONDS


def test_an_argv_of_a_mebibyte() -> None:
    mapping = {"name": "x", "type": "command", "cmd": "x", "args": ["x" * 1024] * 1024}
    with pytest.raises(InvalidSpec, match="ARGV_BYTES is 131072"):
        job_from_mapping(mapping, now_ms=NOW_MS)


def test_a_mapping_that_contains_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    mapping = {"name": "x", "type": "command", "cmd": "x", "input": loop}
    with pytest.raises(InvalidSpec, match=f"SPEC_DEPTH \\({SPEC_DEPTH}\\)"):
        job_from_mapping(mapping, now_ms=NOW_MS)


def exponential() -> dict[str, Any]:
    """A small schema whose naive check takes 2^30 steps."""
    steps = {f"s{i}": {"allOf": [{"$ref": f"#/$defs/s{i + 1}"}] * 2} for i in range(30)}
    return {"$ref": "#/$defs/s0", "$defs": {**steps, "s30": {}}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (exponential(), f"takes more than {STEPS} steps"),
        ({"$ref": "#"}, "RecursionError"),
        ({"pattern": "("}, "is not a 'regex'"),
        ({"pattern": "a{99999999999999999999}"}, "OverflowError"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
        ({"$ref": "#/$defs/nowhere"}, "is not in this schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "the dialect is"),
        ({"properties": {"a": {"$schema": "x:y"}}}, "the dialect is"),
        ({"type": "objekt"}, "is not valid"),
    ],
)
def test_a_hostile_schema(schema: dict[str, Any], expected: str) -> None:
    mapping = {"name": "x", "type": "command", "cmd": "x", "input": "a", "input_schema": schema}
    began = time.monotonic()
    with pytest.raises(InvalidSpec) as caught:
        job_from_mapping(mapping, now_ms=NOW_MS)
    assert time.monotonic() - began < 2 * SECONDS
    assert any(expected in problem.message for problem in caught.value.problems)


def test_no_reference_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        schema = {"allOf": [{"$ref": url}, {"$id": url, "$ref": "other.json"}]}
        mapping = {"name": "x", "type": "command", "cmd": "x", "input": 1, "input_schema": schema}
        with pytest.raises(InvalidSpec, match="nothing is fetched"):
            job_from_mapping(mapping, now_ms=NOW_MS)
        assert read_output(b"1", schema)[1] == "output_schema"
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_the_doors_do_not_pay_for_parsers_they_may_not_need() -> None:
    lazy = ("yaml", "jsonschema", "referencing", "difflib")
    code = f"import sys, actors.core.spec; print([m for m in {lazy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
