"""A node alone and a group of three with one submitter come to equal states."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.consensus.group import Submit
from actors.core.store.txn import Op, SessionRef, Txn, absent, at, exists
from tests.sim.consensus.profile import Profile
from tests.sim.consensus.world import Simulation

_KEYS = st.sampled_from(("kv/a", "kv/b", "session/n1"))
_CHECKS = st.lists(
    st.one_of(
        st.builds(absent, _KEYS),
        st.builds(exists, _KEYS),
        st.builds(at, _KEYS, st.integers(1, 12)),
    ),
    max_size=2,
).map(tuple)
_OPS: st.SearchStrategy[tuple[Op, ...]] = st.lists(
    st.tuples(_KEYS, st.one_of(st.none(), st.binary(max_size=3))), max_size=3
).map(tuple)
_TXNS = st.lists(
    st.tuples(_CHECKS, _OPS, st.integers(0, 60), st.integers(0, 4)), min_size=1, max_size=12
)


def _state_after(
    txns: list[tuple[tuple[tuple[str, int], ...], tuple[Op, ...], int, int]], voters: int, seed: int
) -> tuple[object, ...]:
    quiet = Profile(
        voters=voters, quorum_size=2 if voters > 1 else 1, commands=0, reads=0, faulty_ms=900
    )
    simulation = Simulation(seed, quiet, sessions=False)
    submitter = simulation.machines["n1"]

    def submit(number: int) -> None:
        checks, ops, _, session = txns[number]
        ref = SessionRef("n1", session, number + 1, 0) if session else None
        ticket = submitter.ticket(lambda _: None)
        submitter.step(Submit(ticket, Txn(checks, ops, (), number, ref)))

    at_ms = 30
    for number, (_, _, pause_ms, _) in enumerate(txns):
        at_ms += pause_ms
        simulation.at(at_ms, submit, (number,))
    outcome = simulation.run()
    assert not outcome.invariant, outcome.text
    state = submitter.state
    rows = {key: state.raw(key) for key in ("kv/a", "kv/b", "session/n1")}
    return state.revision, state.sessions.dump(), rows


@settings(max_examples=60, deadline=None)
@given(_TXNS, st.integers(0, 1_000))
def test_they_come_to_equal_states(
    txns: list[tuple[tuple[tuple[str, int], ...], tuple[Op, ...], int, int]], seed: int
) -> None:
    assert _state_after(txns, 1, seed) == _state_after(txns, 3, seed)
