"""However wrong a minority of clocks is and becomes, the cluster's time is that of the others."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.cluster_clock import SKEW_MS, ClusterClock

TRUE_MS = 1_790_000_000_000
VOTERS = ("a", "b", "c", "d", "e")
_ANY_MS = st.integers(0, 10**13)
_SMALL_MS = st.integers(-100, 100)
# who says something, its clock if it is wrong (d and e are), how long later, how long it took
_SAYINGS = st.lists(
    st.tuples(st.sampled_from(VOTERS), _ANY_MS, st.integers(0, 3_000), st.integers(0, 300)),
    max_size=60,
)


class Machine:
    """Its wall clock is wrong or right; its monotonic clock is neither."""

    def __init__(self, off_ms: int) -> None:
        self.off_ms = off_ms
        self.true_ms = TRUE_MS

    def now_ms(self) -> int:
        return self.true_ms + self.off_ms

    def monotonic_s(self) -> float:
        return (self.true_ms - TRUE_MS) / 1000


@settings(deadline=None)
@given(
    node=st.sampled_from((*VOTERS, "w")),
    own_ms=_ANY_MS,
    off_ms=st.fixed_dictionaries(dict.fromkeys("abc", _SMALL_MS)),
    sayings=_SAYINGS,
)
def test_a_minority_sets_no_clock(
    node: str, own_ms: int, off_ms: dict[str, int], sayings: list[tuple[str, int, int, int]]
) -> None:
    machine = Machine(off_ms.get(node, own_ms - TRUE_MS))
    clock = ClusterClock(machine, node, wait_ms=10**9)  # nobody is done without
    clock.follow(VOTERS, 0)
    seen_ms = 0
    for voter, said_ms, later_ms, took_ms in sayings:
        machine.true_ms += later_ms
        if voter != node:
            right_ms = machine.true_ms + off_ms.get(voter, 0) - took_ms
            clock.hear(voter, right_ms if voter in off_ms else said_ms)
        if clock.is_set:
            now_ms = clock.now_ms()
            assert now_ms >= seen_ms, "it never goes back"
            assert -400 <= now_ms - machine.true_ms <= 100
            seen_ms = now_ms
            if node in off_ms:
                assert clock.keeps_time == (abs(clock.skew_ms) <= SKEW_MS)
