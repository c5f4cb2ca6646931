"""Templates: data in strings, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.dag.path import MISSING, follow, read_path
from actors.core.dag.template import Ref, TemplateError, fill, parse, refs_in

VALUES = {
    "inputs.n": 3,
    "inputs.t": "${run.id}; rm -rf /",
    "run.id": "r1",
    "inputs.l": [1, {"a": 2}],
}


def resolve(ref: Ref) -> Any:
    return VALUES.get(str(ref))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${inputs.n}", 3),  # alone it keeps its type
        ("${inputs.l}", [1, {"a": 2}]),
        ("n=${inputs.n}", "n=3"),
        ("l=${inputs.l}!", 'l=[1, {"a": 2}]!'),
        ("${inputs.t}", "${run.id}; rm -rf /"),  # what was put in is not read again
        ("a${inputs.t}", "a${run.id}; rm -rf /"),
        ("${inputs.none} ", " "),
        ("$${run.id}", "${run.id}"),
        ("${HOME} ${x:-y} $x ${}", "${HOME} ${x:-y} $x ${}"),  # a shell's
        ("${input.user}", "${input.user}"),  # a job's own key fills it
        ("${ run.id }", "r1"),
        ("plain", "plain"),
    ],
)
def test_it_becomes(text: str, wanted: Any) -> None:
    assert fill(text, resolve) == wanted


def test_a_whole_value_is_filled_but_for_its_keys() -> None:
    value = {"a": ["${inputs.n}", {"${run.id}": "x${run.id}"}], "b": None}
    assert fill(value, resolve) == {"a": [3, {"${run.id}": "xr1"}], "b": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${step.a.output}", 'nothing is named "step"; known: steps, inputs, run, item, map'),
        ("${steps.a}", '"steps.a" names no part of a step; write steps.NAME.output, '),
        ("${steps.a.exit}", '"steps.a.exit" names no part of a step; write steps.NAME.output, '),
        ("${steps.a.state.x}", '"steps.a.state.x": only an output has something in it'),
        ("${run.secret}", '"run.secret" names nothing of a run; write run.id, '),
        ("${map.length}", '"map.length" names nothing of a map; write map.index'),
        ("${inputs.a..b}", '"inputs.a..b" is no path of names and indexes'),
        ("${inputs.a", '"${inputs.a" has no closing brace'),
        ("${inputs.__class__.x()}", '"inputs.__class__.x()" is no path'),
    ],
)
def test_what_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as error:
        parse(text)
    assert str(error.value).startswith(message)


def test_holes_are_found_with_their_places() -> None:
    found = list(refs_in({"a": ["x", "${steps.s.output.rows[1]}"], "b": "${nope.x}"}))
    assert found[0] == (("a", 1), Ref("steps", "s", "output", ("rows", 1)))
    assert found[1][0] == ("b",)
    assert isinstance(found[1][1], str)


def test_paths_follow_mappings_and_lists() -> None:
    value = {"rows": [{"id": 7}], "0": "zero"}
    assert read_path(".rows[0].id") == ("rows", 0, "id")
    assert follow(value, ("rows", 0, "id")) == 7
    assert follow(value, ("rows", "0", "id")) == 7
    assert follow(value, ("0",)) == "zero"
    for path in (("rows", 1), ("rows", "x"), ("rows", 0, "id", "x"), ("none",)):
        assert follow(value, path) is MISSING
