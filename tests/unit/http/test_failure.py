"""Each error of the tree arrives as itself."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from actors import errors
from actors.errors import JobdError, Problem
from jobd.api.failure import error_of
from jobd.api.problem import STATUS, problem_of

SPECIAL: list[JobdError] = [
    errors.InvalidSpec([Problem("$.x", 2, 3, "wrong")], remedy="mend it"),
    errors.OutcomeUnknown("doubt", idempotency_key="k", job_id="j"),
    errors.PreconditionFailed("moved", revision=9),
    errors.ActorUnavailable("gone", maybe_executed=True),
]
PLAIN: list[JobdError] = [
    cls("what", remedy="do")
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, JobdError) and cls.__init__ is JobdError.__init__ and cls.code in STATUS
]


@pytest.mark.parametrize("error", SPECIAL + PLAIN, ids=lambda error: error.code)
def test_an_error_arrives_as_itself(error: JobdError) -> None:
    problem = problem_of(error)
    arrived = error_of(problem.status, msgspec.json.encode(problem))
    assert type(arrived) is type(error)
    assert vars(arrived) == vars(error)


def test_most_of_the_tree_is_tried() -> None:
    assert len(PLAIN) > 12


def test_an_unknown_problem_is_some_error() -> None:
    assert type(error_of(599, b"<html>")) is JobdError
    arrived = error_of(500, b'{"type": "urn:jobd:problem:new", "title": "New", "status": 500}')
    assert type(arrived) is JobdError
    assert arrived.message == "New"
