"""Mailbox: order, bound, system lane, closing."""

from __future__ import annotations

import pytest

from actors.runtime.letter import Letter
from actors.runtime.mailbox import Mailbox
from tests.unit.runtime.messages import Count, Urgent


def test_the_bound_holds_for_others_only() -> None:
    mailbox = Mailbox(2)
    assert mailbox.offer(Letter(Count())) and mailbox.offer(Letter(Count()))
    assert not mailbox.offer(Letter(Count()))
    assert mailbox.offer(Letter(Count()), bounded=False)
    assert mailbox.offer(Letter(Urgent()))
    assert len(mailbox) == 4


def test_the_system_lane_overtakes_and_a_letter_put_back_is_next() -> None:
    mailbox = Mailbox(10)
    first, urgent = Letter(Count()), Letter(Urgent())
    mailbox.offer(first)
    mailbox.offer(urgent)
    assert mailbox.get() is urgent
    mailbox.put_back(urgent)
    assert mailbox.get() is urgent
    assert mailbox.get() is first
    mailbox.put_back(first)
    assert mailbox.get() is first
    assert mailbox.empty()
    with pytest.raises(IndexError):
        mailbox.get()


def test_nothing_enters_a_closed_mailbox() -> None:
    mailbox = Mailbox(10)
    letters = [Letter(Count()), Letter(Count())]
    for letter in letters:
        mailbox.offer(letter)
    assert mailbox.drain() == letters
    assert mailbox.closed and mailbox.empty()
    assert not mailbox.offer(Letter(Count()))
    assert not mailbox.offer(Letter(Urgent()))
