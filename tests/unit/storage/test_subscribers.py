"""A commit wakes whom it concerns, and nobody falls off the ring."""

from __future__ import annotations

from actors import limits
from actors.core.store.subscribers import Subscribers


def followers() -> Subscribers:
    subscribers = Subscribers()
    subscribers.add("/all", (), 0)
    subscribers.add("/schedules", ("schedule", "session"), 0)
    return subscribers


def test_who_follows_some_kinds_is_told_of_these_only() -> None:
    subscribers = followers()
    assert subscribers.concerned({"kv"}, 1) == ["/all"]
    assert subscribers.concerned({"kv", "schedule"}, 2) == ["/all", "/schedules"]
    assert subscribers.concerned(set(), 3) == ["/all"]


def test_nobody_is_left_out_for_long() -> None:
    subscribers = followers()
    told = [
        revision
        for revision in range(1, 2 * limits.FEED_TAKE + 1)
        if "/schedules" in subscribers.concerned({"kv"}, revision)
    ]
    assert told == [limits.FEED_TAKE, 2 * limits.FEED_TAKE]
    assert 2 * limits.FEED_TAKE < limits.FEED_COMMITS


def test_who_subscribes_again_is_there_once() -> None:
    subscribers = followers()
    subscribers.add("/all", (), 1)
    assert subscribers.concerned({"kv"}, 2) == ["/all"]
