"""The failure detector: who is suspected, lost, leading, and in contact with a majority."""

from __future__ import annotations

import pytest

from actors.core.failure_detector import LATE_MS, FailureDetector

INTERVAL, TIMEOUT = 1_000, 5_000
VOTERS = ("a", "b", "c")


def detector(node: str = "a", voters: tuple[str, ...] = VOTERS, **sessions: int) -> FailureDetector:
    """One that begins at 0, and that all voters have heard by then."""
    found = FailureDetector(node, interval_ms=INTERVAL, timeout_ms=TIMEOUT, now_ms=0)
    found.follow(voters, sessions or {v: n + 1 for n, v in enumerate(voters)}, 0)
    return found


class Time:
    """Runs a detector on time, with the heartbeats of those that are named."""

    def __init__(self, of: FailureDetector) -> None:
        self.of = of
        self.now_ms = 0
        self.beats: list[int] = []

    def to(self, end_ms: int, silent: dict[str, dict[str, int]] | None = None) -> None:
        """`silent` is what each of the others says in its heartbeats, one each 500 ms."""
        while self.now_ms < end_ms:
            self.now_ms = min(self.now_ms + 100, end_ms)
            for node, says in (silent or {}).items():
                if self.now_ms % 500 == 0:
                    self.of.heard(node, {"a": 100, **says}, self.now_ms)
            if self.now_ms >= self.of.due_ms and self.of.tick(self.now_ms):
                self.beats.append(self.now_ms)


def test_a_heartbeat_is_due_each_interval_once_there_is_contact() -> None:
    time = Time(detector())
    time.to(4_900, {"b": {}, "c": {}})
    assert time.beats == [100, 300, 500, 1_500, 2_500, 3_500, 4_500]


def test_who_is_silent_for_the_timeout_is_suspected_until_it_is_heard() -> None:
    time = Time(detector())
    time.to(4_900, {"b": {}})
    assert time.of.alive(4_900) == {"a", "b", "c"}
    time.to(5_000, {"b": {}})
    assert time.of.alive(5_000) == {"a", "b"}
    time.of.heard("c", {"a": 0}, 5_001)
    assert time.of.alive(5_001) == {"a", "b", "c"}


def test_who_begins_to_suspect_says_so_at_once() -> None:
    time = Time(detector())
    time.to(3_300, {"b": {}, "c": {}})
    time.to(8_500, {"b": {}})
    assert 8_000 in time.beats  # c was heard last at 3000
    assert time.of.silent_ms(8_500)["c"] == 5_500


@pytest.mark.parametrize(
    ("voters", "say", "lost"),
    [
        (VOTERS, {"b": 5_000}, True),
        (VOTERS, {"b": 4_999}, False),  # b has heard it since
        (VOTERS, {}, False),  # nobody else is there: no majority
        (("a", "b"), {"b": 9_000}, True),  # of a worker: both voters say so
        (("a", "b", "c", "d", "e"), {"b": 6_000, "d": 4_000}, False),
        (("a", "b", "c", "d", "e"), {"b": 6_000, "d": 6_000}, True),
        (("a", "b", "d", "e"), {"b": 6_000, "d": 0}, False),  # half of four is no majority
    ],
)
def test_a_loss_is_on_the_word_of_a_majority(
    voters: tuple[str, ...], say: dict[str, int], lost: bool
) -> None:
    time = Time(detector("a", voters, a=1, b=2, c=7))
    others = [v for v in voters if v not in ("a", "c")] if say else []
    time.to(5_500, {v: {"c": say[v]} if v in say else {} for v in others})
    assert time.of.lost(5_500) == ({"c": 7} if lost else {})


def test_the_loss_of_a_voter_needs_two_of_three() -> None:
    """The silent voter itself does not count against it, and one other is no majority."""
    time = Time(detector())
    time.to(7_000, {"c": {"b": 0}})
    assert "b" not in time.of.alive(7_000)
    assert time.of.lost(7_000) == {}
    time.to(8_000, {"c": {"b": 5_200}})
    assert time.of.lost(8_000) == {"b": 2}


def test_voters_propose_one_after_the_other() -> None:
    time = Time(detector("c", a=1, b=2, c=3, w=4))
    says = {"w": 5_000, "c": 100}
    time.to(5_100, {"a": says, "b": says})
    assert time.of.lost(5_100) == {}
    time.to(5_500, {"a": says, "b": says})
    assert time.of.lost(5_500) == {"w": 4}  # the third waits 400 ms


def test_a_worker_proposes_nothing() -> None:
    time = Time(detector("w", a=1, b=2, c=3, w=4))
    says = {"c": 9_000, "w": 100}
    time.to(6_000, {"a": says, "b": says})
    assert time.of.lost(6_000) == {}
    assert time.of.alive(6_000) == {"a", "b", "w"}
    assert time.of.leader(6_000) == "a"
    assert not time.of.leads(6_000)


def test_an_accusation_is_good_only_while_it_is_fresh() -> None:
    time = Time(detector())
    time.to(5_500, {"b": {"c": 5_000}})
    assert time.of.lost(5_500) == {"c": 3}
    time.to(7_600)  # b said nothing more; it may have heard c since
    assert time.of.lost(7_600) == {}


def test_a_new_session_is_not_accused_of_the_silence_before_it() -> None:
    time = Time(detector("a", ("a", "b", "c", "d", "e")))
    says = {n: {"c": 6_000} for n in ("b", "d", "e")}
    time.to(5_500, says)
    assert time.of.lost(5_500) == {"c": 3}
    time.of.follow(("a", "b", "c", "d", "e"), {"a": 1, "b": 2, "c": 9, "d": 4, "e": 5}, 5_500)
    assert time.of.lost(5_500) == {}
    time.to(10_400, says)  # what the others still say is old
    assert time.of.lost(10_400) == {}
    time.to(10_500, says)
    assert time.of.lost(10_500) == {"c": 9}


@pytest.mark.parametrize("first", ["tick", "heartbeat"])
def test_a_late_detector_accuses_nobody(first: str) -> None:
    """Whatever it hears first after it was stopped."""
    time = Time(detector())
    time.to(4_000, {"b": {}})
    late_ms = time.of.due_ms + LATE_MS + 5_000
    if first == "heartbeat":
        time.of.heard("b", {"a": 9_000, "c": 9_000}, late_ms)
        assert time.of.lost(late_ms) == {}
    time.of.tick(late_ms)
    assert (time.of.take_stood_still_ms(), time.of.take_stood_still_ms()) == (LATE_MS + 5_000, 0)
    time.of.heard("b", {"a": 100, "c": 9_000}, late_ms + 1)
    assert time.of.lost(late_ms + 1) == {}
    assert time.of.alive(late_ms) == {"a", "b", "c"}
    assert max(time.of.silent_ms(late_ms).values()) == 0


def test_a_tick_that_is_a_little_late_changes_nothing() -> None:
    time = Time(detector())
    time.to(3_000, {"b": {}})
    late_ms = time.of.due_ms + LATE_MS
    time.of.tick(late_ms)
    assert time.of.silent_ms(late_ms)["c"] == late_ms


def test_who_comes_back_into_contact_accuses_nobody() -> None:
    """All were cut off from all for five seconds; b is heard first, and c has not been yet."""
    time = Time(detector())
    time.to(2_000, {"b": {}, "c": {}})
    time.to(6_900)
    for now_ms, silent_ms in ((6_950, 5_000), (7_100, 100), (7_600, 300)):
        time.of.heard("b", {"a": silent_ms, "c": 6_000}, now_ms)
        assert time.of.lost(now_ms) == {}, now_ms
    assert time.of.silent_ms(7_600)["c"] < 1_000


def test_out_of_contact_it_accuses_nobody() -> None:
    time = Time(detector())
    time.to(20_000)
    assert max(time.of.silent_ms(20_000).values()) < TIMEOUT
    assert time.of.lost(20_000) == {}
    assert not time.of.leads(20_000)


def test_isolation_counts_from_the_last_contact_with_a_majority() -> None:
    time = Time(detector())
    time.to(10_000, {"b": {}})
    assert time.of.isolated_since_ms(10_000) is None
    time.to(20_000)
    assert time.of.isolated_since_ms(20_000) == 9_900  # b had heard it 100 ms before
    time.of.heard("c", {"a": 50}, 20_001)
    assert time.of.isolated_since_ms(20_001) is None


def test_who_is_heard_by_nobody_is_isolated_although_it_hears_all() -> None:
    time = Time(detector())
    time.to(2_000, {"b": {}, "c": {}})
    for now_ms in range(2_500, 9_000, 500):
        for node in ("b", "c"):
            time.of.heard(node, {"a": now_ms - 2_000}, now_ms)
        time.of.tick(now_ms)
    assert time.of.isolated_since_ms(8_500) == 2_000


def test_a_node_alone_is_never_isolated() -> None:
    of = FailureDetector("a", interval_ms=INTERVAL, timeout_ms=TIMEOUT, now_ms=0)
    of.follow(("a",), {"a": 1}, 0)
    assert of.isolated_since_ms(100_000) is None
    assert of.leader(100_000) == "a"
    assert of.leads(100_000)
    assert of.alive(100_000) == {"a"}


def test_a_lone_voter_declares_a_silent_worker_lost() -> None:
    time = Time(detector("a", ("a",), a=1, w=2))
    time.to(5_000)
    assert time.of.lost(5_000) == {"w": 2}


def test_the_first_voter_in_order_that_is_not_suspected_leads() -> None:
    time = Time(detector("b"))
    time.to(4_000, {"c": {"b": 100, "a": 3_000}})
    assert (time.of.leader(4_000), time.of.leads(4_000)) == ("a", False)
    time.to(5_500, {"c": {"b": 100, "a": 3_000}})
    assert (time.of.leader(5_500), time.of.leads(5_500)) == ("b", False)  # c hears a
    time.to(6_000, {"c": {"b": 100, "a": 5_000}})
    assert (time.of.leader(6_000), time.of.leads(6_000)) == ("b", True)
    time.of.heard("a", {"b": 100}, 6_001)
    assert (time.of.leader(6_001), time.of.leads(6_001)) == ("a", False)


def test_who_suspects_all_leads_for_itself_alone() -> None:
    time = Time(detector("c"))
    time.to(9_000)
    assert (time.of.leader(9_000), time.of.leads(9_000)) == ("c", False)
    worker = Time(detector("w", a=1, w=2))
    worker.to(9_000)
    assert worker.of.leader(9_000) == "a"


def test_a_voter_whose_session_ended_is_suspected_until_it_is_heard() -> None:
    time = Time(detector())
    time.to(3_000, {"b": {}, "c": {}})
    time.of.follow(VOTERS, {"a": 1, "b": 2}, 3_050)
    assert time.of.alive(3_050) == {"a", "b"}
    assert time.of.silent_ms(3_050)["c"] == TIMEOUT
    time.of.heard("c", {"a": 0}, 3_100)
    assert time.of.alive(3_100) == {"a", "b", "c"}


def test_who_has_left_is_followed_no_more() -> None:
    time = Time(detector("a", VOTERS, a=1, b=2, c=3, w=4))
    time.to(6_000, {"b": {}, "c": {}})
    time.of.follow(VOTERS, {"a": 1, "b": 2, "c": 3}, 6_000)
    assert "w" not in time.of.silent_ms(6_000)
    assert time.of.alive(6_000) == {"a", "b", "c"}


def test_the_timeout_leaves_room_for_lost_heartbeats() -> None:
    with pytest.raises(AssertionError):
        FailureDetector("a", interval_ms=2_000, timeout_ms=5_000, now_ms=0)
