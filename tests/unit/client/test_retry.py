"""When an operation is sent again, and when not."""

from __future__ import annotations

from typing import Any

import pytest

from actors.errors import (
    ActorUnavailable,
    AskTimeout,
    Busy,
    InFlight,
    JobdError,
    NodeUnreachable,
    NotFound,
    OutcomeUnknown,
    ReadOnly,
)
from jobd.client.address import GIVEN, Target
from jobd.client.flow import mint_key
from jobd.client.job_operations import submit_job
from jobd.client.node_operations import get_status, put_value
from jobd.client.operation import Operation
from jobd.client.retry import Nodes, Retry

REFUSED = ActorUnavailable("refused", maybe_executed=False)
LOST = ActorUnavailable("lost", maybe_executed=True)
SPEC = {"name": "t"}
PUT: Operation[Any] = put_value("ns", "k", b"", None)


def nodes_at(*addresses: str, reached: bool = True) -> Nodes:
    nodes = Nodes(lambda: Target(addresses, "", GIVEN))
    nodes.reached = reached
    return nodes


def again(operation: Operation[Any], error: JobdError, nodes: Nodes | None = None) -> bool:
    nodes = nodes or nodes_at("a")
    try:
        Retry(operation, nodes, 30).after(error, nodes.current)
    except JobdError:
        return False
    return True


@pytest.mark.parametrize("error", [REFUSED, LOST, Busy(""), AskTimeout(""), InFlight("")])
def test_what_only_looks_is_asked_again(error: JobdError) -> None:
    assert again(get_status(), error)


def test_a_change_is_repeated_only_when_it_was_not_made() -> None:
    assert again(PUT, REFUSED)
    assert again(PUT, Busy(""))
    for doubtful in (LOST, AskTimeout(""), OutcomeUnknown("", idempotency_key="", job_id="")):
        assert not again(PUT, doubtful)
        assert again(submit_job(SPEC, "k"), doubtful)


def test_what_can_not_pass_is_final_and_keeps_the_node() -> None:
    nodes = nodes_at("a", "b")
    assert not again(get_status(), NotFound(""), nodes)
    assert nodes.current == "a"


def test_every_address_is_tried_once_when_none_ever_answered() -> None:
    nodes = nodes_at("a", "b", reached=False)
    retry = Retry(get_status(), nodes, 30)
    assert retry.after(REFUSED, "a") == 0
    assert nodes.current == "b"
    with pytest.raises(ActorUnavailable):
        retry.after(REFUSED, "b")


@pytest.mark.parametrize("error", [ReadOnly(""), NodeUnreachable.at("n3", "its log")])
def test_a_node_that_can_not_is_left_for_the_next_and_not_waited_for(error: JobdError) -> None:
    retry = Retry(PUT, nodes_at("a", "b"), 30)
    assert retry.after(error, "a") == 0
    with pytest.raises(type(error)):
        retry.after(error, "b")


def test_a_request_in_flight_is_asked_of_the_same_node() -> None:
    nodes = nodes_at("a", "b")
    Retry(submit_job(SPEC, "k"), nodes, 30).after(InFlight(""), "a")
    assert nodes.current == "a"


def test_only_who_failed_is_left() -> None:
    nodes = nodes_at("a", "b", "c")
    nodes.failed("a")
    nodes.failed("a")  # another thread that had used it too
    assert nodes.current == "b"


def test_pauses_grow_up_to_a_bound() -> None:
    retry = Retry(get_status(), nodes_at("a"), 10_000)
    pauses = [retry.after(LOST, "a") for _ in range(30)]
    assert max(pauses[:2]) <= 0.2
    assert 0.2 < max(pauses) <= 2.0


def test_the_deadline_is_the_end() -> None:
    with pytest.raises(ActorUnavailable):
        Retry(get_status(), nodes_at("a"), 0).after(LOST, "a")


def test_giving_up_in_doubt_tells_the_key() -> None:
    key = mint_key()
    with pytest.raises(OutcomeUnknown) as unknown:
        Retry(submit_job(SPEC, key), nodes_at("a"), 0).after(LOST, "a")
    assert (unknown.value.idempotency_key, unknown.value.job_id) == (key, key)
    with pytest.raises(OutcomeUnknown) as unknown:
        Retry(submit_job(SPEC, "mine"), nodes_at("a"), 0).after(LOST, "a")
    assert (unknown.value.idempotency_key, unknown.value.job_id) == ("mine", "")
    with pytest.raises(ActorUnavailable):
        Retry(submit_job(SPEC, key), nodes_at("a"), 0).after(REFUSED, "a")


def test_found_nodes_are_looked_for_again() -> None:
    places = iter([("old:1", "data"), ("new:2", "data"), ("wrong:3", "default")])

    def locate() -> Target:
        address, source = next(places, ("", ""))
        if not address:
            raise REFUSED
        return Target((address,), "", source)

    nodes = Nodes(locate)
    for failed, then in (("old:1", "new:2"), ("new:2", "new:2"), ("new:2", "new:2")):
        nodes.failed(failed)
        assert nodes.current == then
