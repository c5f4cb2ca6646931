"""Detectors that hear each other over links that come and go, some of them standing still."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.failure_detector import FailureDetector

VOTERS = ("a", "b", "c", "d", "e")
SESSIONS = {node: n + 1 for n, node in enumerate(VOTERS)}
STEP_MS = 100
WELL = frozenset("abc")  # they run, and hear each other
_NODES = st.sampled_from(VOTERS)
_ILL = st.sampled_from(sorted(set(VOTERS) - WELL))
_PHASES = st.lists(
    st.tuples(
        st.integers(1, 90),  # steps
        st.frozensets(st.tuples(_NODES, _NODES)),  # who is not heard by whom
        st.frozensets(_ILL),  # who stands still
    ),
    min_size=1,
    max_size=6,
)


class World:
    def __init__(self) -> None:
        self.now_ms = 0
        self.on_the_way: list[tuple[str, str, dict[str, int]]] = []
        self.nodes = {node: self._begin(node) for node in VOTERS}

    def _begin(self, node: str) -> FailureDetector:
        made = FailureDetector(node, interval_ms=1_000, timeout_ms=5_000, now_ms=0)
        made.follow(VOTERS, SESSIONS, 0)
        return made

    def step(self, cuts: frozenset[tuple[str, str]], still: frozenset[str]) -> None:
        """Who runs ticks, and hears first or last what came: as it happens on a real node."""
        self.now_ms += STEP_MS
        arrived = [letter for letter in self.on_the_way if letter[1] not in still]
        self.on_the_way = [letter for letter in self.on_the_way if letter[1] in still]
        for source, target, silent in arrived:
            self.nodes[target].heard(source, silent, self.now_ms)
        for node, detector in self.nodes.items():
            if node in still or self.now_ms < detector.due_ms or not detector.tick(self.now_ms):
                continue
            silent = detector.silent_ms(self.now_ms)
            self.on_the_way += [
                (node, other, silent)
                for other in VOTERS
                if other != node and ((node, other) not in cuts or {node, other} <= WELL)
            ]


@settings(max_examples=60, deadline=None)
@given(_PHASES)
def test_who_is_heard_by_a_majority_is_never_lost_nor_led_past(
    phases: list[tuple[int, frozenset[tuple[str, str]], frozenset[str]]],
) -> None:
    world = World()
    for steps, cuts, still in phases:
        for _ in range(steps):
            world.step(cuts, still)
            for node, detector in world.nodes.items():
                assert not WELL & detector.lost(world.now_ms).keys()
                assert detector.lost(world.now_ms).items() <= SESSIONS.items()
                assert node in detector.alive(world.now_ms)
                if node in WELL:
                    assert detector.alive(world.now_ms) >= WELL
                    assert detector.isolated_since_ms(world.now_ms) is None
                    assert detector.leader(world.now_ms) == "a"
                if node != "a" and node not in still:
                    assert not detector.leads(world.now_ms)


@settings(max_examples=60, deadline=None)
@given(_PHASES, st.frozensets(_ILL, min_size=1))
def test_who_is_dead_is_lost_whatever_went_before(
    phases: list[tuple[int, frozenset[tuple[str, str]], frozenset[str]]], dead: frozenset[str]
) -> None:
    world = World()
    for steps, cuts, still in phases:
        for _ in range(steps):
            world.step(cuts, still)
    began_ms = world.now_ms
    lost: set[str] = set()
    while not dead <= lost and world.now_ms < began_ms + 5_000 + 5 * STEP_MS:
        world.step(frozenset(), dead)
        lost |= world.nodes["a"].lost(world.now_ms).keys()
    assert dead <= lost
