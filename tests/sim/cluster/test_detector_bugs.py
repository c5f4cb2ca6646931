"""Each rule of failure detection and of the clock, left out, is seen by the scenario for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors.core.cluster_clock import ClusterClock
from actors.core.failure_detector import FailureDetector
from tests.sim.cluster import test_clocks as clocks
from tests.sim.cluster import test_failure_detection as detection

Bug = Callable[[pytest.MonkeyPatch], None]


def late_accuses(patch: pytest.MonkeyPatch) -> None:
    """F3: the timers of a late detector run on."""
    patch.setattr(FailureDetector, "_wake", lambda self, now_ms: None)


def deaf_accuses(patch: pytest.MonkeyPatch) -> None:
    """F3: who was out of contact believes its timers."""
    begin = FailureDetector.__init__

    def never_deaf(self: FailureDetector, node: str, **more: int) -> None:
        begin(self, node, **more)
        self._deaf_ms = 10**9

    patch.setattr(FailureDetector, "__init__", never_deaf)


def one_word_is_enough(patch: pytest.MonkeyPatch) -> None:
    """F2: a node is lost when one voter has not heard it."""
    patch.setattr(FailureDetector, "_calls_silent", lambda *_: True)


def hears_is_contact(patch: pytest.MonkeyPatch) -> None:
    """F4: to hear is enough, whether or not one is heard."""

    def contact(self: FailureDetector, voter: str, now_ms: int) -> int:
        report = self._reports.get(voter)
        return now_ms if voter == self._node else report.came_ms if report else self._began_ms

    patch.setattr(FailureDetector, "_contact_ms", contact)


def waits_for_its_beat(patch: pytest.MonkeyPatch) -> None:
    """F6: who begins to suspect says so with its next heartbeat only."""
    tick = FailureDetector.tick

    def later(self: FailureDetector, now_ms: int) -> bool:
        self._said = self._suspects(now_ms)
        return tick(self, now_ms)

    patch.setattr(FailureDetector, "tick", later)


def leads_alone(patch: pytest.MonkeyPatch) -> None:
    """F5: a voter proposes itself as soon as it alone believes that it leads."""
    patch.setattr(FailureDetector, "leads", lambda self, now: self.leader(now) == self._node)


def mean_of_clocks(patch: pytest.MonkeyPatch) -> None:
    """K1: the mean and not the median."""
    patch.setattr(ClusterClock, "_median", lambda self, ahead: sum(ahead) // len(ahead))


def set_by_two(patch: pytest.MonkeyPatch) -> None:
    """K3: any majority sets the clock, agreed or not."""
    patch.setattr(ClusterClock, "_may_be_set", lambda *_: True)


def forgets_what_it_stamped(patch: pytest.MonkeyPatch) -> None:
    """K2: of two clocks the lower, whatever was stamped before."""
    patch.setattr(ClusterClock, "_median", lambda self, ahead: ahead[(len(ahead) - 1) // 2])


def own_wall_clock(patch: pytest.MonkeyPatch) -> None:
    """K1: each has its own."""
    patch.setattr(ClusterClock, "now_ms", lambda self: self.own_ms())


def cases() -> Iterator[Any]:
    wrong = clocks.test_a_cluster_that_boots_with_one_wrong_clock
    two = clocks.test_with_another_node_down_what_was_stamped_tells_which_is_wrong
    halves = detection.test_two_that_do_not_hear_each_other_are_not_lost_and_the_first_leads_on
    stepped = clocks.test_a_clock_that_is_set_while_the_node_runs
    for bug, scenario in (
        (late_accuses, lambda: detection.test_when_all_stand_still_nobody_is_lost(20.0)),
        (deaf_accuses, _each(detection.test_when_all_were_cut_off_from_all_nobody_is_lost)),
        (one_word_is_enough, halves),
        (
            hears_is_contact,
            lambda: detection.test_a_node_that_is_cut_off_knows_it_and_starts_nothing("unheard"),
        ),
        (
            waits_for_its_beat,
            _each(detection.test_a_dead_node_is_lost_within_the_timeout_and_a_second),
        ),
        (leads_alone, halves),
        (mean_of_clocks, lambda: wrong(clocks.IN_2099, ("a", "b", "c"))),
        (set_by_two, lambda: wrong(clocks.IN_1970, ("a", "b", "c"))),
        (forgets_what_it_stamped, lambda: two("a", clocks.IN_1970)),
        (own_wall_clock, lambda: stepped(3_600_000)),
    ):
        yield pytest.param(bug, scenario, id=bug.__name__)


def _each(test: Callable[[int], None]) -> Callable[[], None]:
    def run() -> None:
        for seed in range(6):
            test(seed)

    return run


@pytest.mark.parametrize(("bug", "scenario"), list(cases()))
def test_a_rule_that_is_left_out_is_missed(
    bug: Bug, scenario: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        scenario()
