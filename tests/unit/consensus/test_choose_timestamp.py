"""What a recovery proposes, as a table: n = 5, f = 2, fast quorum {1, 2, 3, 4}, coordinator 1."""

import pytest

from actors.core.consensus.messages import RecoverAck
from actors.core.consensus.recoveries import choose_timestamp, next_ballot

ID = (1, 1, 1)


def proposed(ts: int) -> RecoverAck:
    return RecoverAck(ID, ts, False, 0, 0, 6)


def joined(ts: int) -> RecoverAck:
    return RecoverAck(ID, ts, True, 0, 0, 6)


def accepted(ballot: int, ts: int) -> RecoverAck:
    return RecoverAck(ID, 1, False, ballot, ts, 6)


@pytest.mark.parametrize(
    ("answers", "chosen", "why"),
    [
        ({2: accepted(2, 9), 3: proposed(30), 4: proposed(40)}, 9, "what was accepted"),
        ({2: accepted(2, 9), 3: accepted(8, 5), 4: proposed(40)}, 5, "at the highest ballot"),
        ({1: proposed(1), 3: proposed(7), 5: joined(20)}, 20, "the coordinator did not decide"),
        ({2: proposed(5), 3: joined(6), 5: joined(20)}, 20, "member 3 never acknowledged"),
        ({2: proposed(5), 3: proposed(7), 5: joined(20)}, 7, "it may have decided 7"),
        ({2: proposed(7), 3: proposed(7), 4: proposed(7)}, 7, "it may have decided 7"),
        ({2: proposed(5), 5: joined(9), 4: joined(3)}, 9, "member 4 never acknowledged"),
    ],
)
def test_choice(answers: dict[int, RecoverAck], chosen: int, why: str) -> None:
    assert choose_timestamp(answers, (1, 2, 3, 4), 1) == chosen, why


def test_ballots_are_owned_and_grow() -> None:
    for n in (3, 5):
        for me in range(1, n + 1):
            ballot, seen = 0, []
            for _ in range(4):
                above, ballot = ballot, next_ballot(me, n, ballot)
                assert ballot > above and ballot > n, "0 to n are the coordinators' own"
                assert (ballot - 1) % n + 1 == me
                seen.append(ballot)
            assert seen == sorted(set(seen))
