"""What a fire, an event or a webhook starts: a job of a template, or a reason why not."""

from __future__ import annotations

from typing import Any

import pytest

from actors import limits
from actors.core.start import Refused, start
from actors.core.store.txn import Txn
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.ids import make_id
from actors.model.spec import Concurrency, JobSpec
from actors.model.target import Target
from tests.unit.jobs.given import Given

CAUSE = Cause("event", "17-0", 1)


@pytest.fixture
def given() -> Given:
    return Given()


def _template(given: Given, **spec: Any) -> None:
    wanted = JobSpec(name="nightly", type="command", argv=("true",), **spec)
    given.commit(Txn((), ((keys.template("nightly"), encode(wanted)),)))


def _start(given: Given, minted: int = 7, **more: Any) -> Txn | Refused:
    wanted: dict[str, Any] = {"cause": CAUSE, "principal": "t1", "now_ms": given.now} | more
    target = Target("job", "nightly")
    return start(given.state, target, new_id=make_id(given.now, minted), **wanted)


def _spec(given: Given) -> JobSpec:
    entry = given.state.get(keys.spec(make_id(given.now, 7)))
    assert entry is not None
    spec: JobSpec = entry.noun
    return spec


def test_a_job_of_the_template_starts_and_names_its_cause(given: Given) -> None:
    _template(given, labels={"a": "b"}, input=1, has_input=True)
    txn = _start(given)
    assert given.commit(txn if isinstance(txn, Txn) else None) == ["jobd:job:submitted"]
    record = given.record(make_id(given.now, 7))
    assert (record.state, record.cause, record.labels) == ("pending", CAUSE, {"a": "b"})
    assert _spec(given).input == 1


def test_a_template_that_changed_meanwhile_conflicts(given: Given) -> None:
    _template(given)
    txn = _start(given)
    _template(given, priority=1)
    assert given.conflicts(txn if isinstance(txn, Txn) else None)


def test_keys_are_filled_by_the_input_that_is_given(given: Given) -> None:
    key = Concurrency("user ${input.user}", 1)
    _template(given, concurrency=(key,), idempotency_key="order ${input.order}")
    txn = _start(given, given_input={"user": "ann", "order": 5})
    given.commit(txn if isinstance(txn, Txn) else None)
    spec = _spec(given)
    assert (spec.concurrency[0].key, spec.has_input) == ("user ann", True)
    again = _start(given, 8, given_input={"user": "bob", "order": 5})
    assert isinstance(again, Refused)
    assert again.reason == "duplicate"
    given.now += spec.idempotency_ttl_ms
    later = _start(given, 8, given_input={"user": "bob", "order": 5})
    given.commit(later if isinstance(later, Txn) else None)


def test_what_cannot_start_says_why(given: Given) -> None:
    assert _start(given) == Refused("no_template", "there is no template/nightly")
    loop = Cause("event", "17-0", limits.CAUSE_DEPTH + 1)
    _template(given, input_schema={"type": "object"}, concurrency=(Concurrency("${input.a}", 1),))
    reasons = {
        "cause_depth": _start(given, cause=loop),
        "input": _start(given, given_input=[1]),
    }
    for reason, refused in reasons.items():
        assert isinstance(refused, Refused)
        assert refused.reason == reason
    unfilled = _start(given, given_input={"b": 1})
    assert isinstance(unfilled, Refused)
    assert unfilled.reason == "input"
    assert 'the input has no "input.a"' in unfilled.detail
