"""Who was heard when, by whom: suspicion, loss, contact with a majority, and who leads.

Rules of this file (all times are of this process' monotonic clock):
F1  A node is suspected while this one has not heard it for the timeout, and from when its session
    ends. Its next heartbeat ends that, and so does its new session.
F2  A loss is proposed on the word of a majority of voters, this one among them: each has said
    lately, in its own heartbeat, that it has not heard the node for the timeout. So nobody who is
    in contact with a majority is lost, however many others are cut off from it.
F3  Who was deaf accuses nobody: a detector whose tick came more than LATE_MS late (SIGSTOP, sleep,
    a stall), or that was out of contact with a majority, restarts all its timers.
F4  Contact is mutual: a voter counts that this node has heard and that says it has heard this one.
    So a node that is cut off one way knows it.
F5  The first voter, in the order of the epoch, that is not suspected leads. The others agree that
    it does when a majority says that it does not hear those before it.
F6  A node that begins to suspect says so at once: it doesn't wait for its next heartbeat. One that
    has not been in contact yet sends five in an interval, so that a cluster is soon there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["LATE_MS", "FailureDetector"]

LATE_MS: Final = 1_000
_STAGGER_MS: Final = 200  # the voter of rank k proposes a loss k times this later


class _Report(NamedTuple):
    """What a node said last: when it came, and how long it had not heard each other node."""

    came_ms: int
    silent_ms: dict[str, int]


class FailureDetector:
    """One node's beliefs about the others. `timeout_ms` is at least three intervals."""

    def __init__(self, node: str, *, interval_ms: int, timeout_ms: int, now_ms: int) -> None:
        assert timeout_ms >= 3 * interval_ms, "two lost heartbeats are no failure"
        self._node = node
        self._interval_ms = interval_ms
        self._timeout_ms = timeout_ms
        # Longer out of contact, and the timers of those heard next may be about to run out.
        self._deaf_ms = timeout_ms - 2 * interval_ms
        self._voters: tuple[str, ...] = (node,)
        self._sessions: dict[str, int] = {}
        self._heard_ms: dict[str, int] = {}  # or when its timer was started
        self._reports: dict[str, _Report] = {}
        self._began_ms = now_ms
        self._woke_ms: int | None = None
        self._stood_still_ms = 0
        self._next_beat_ms = now_ms
        self._due_ms = now_ms
        self._was_deaf = False
        self._said: frozenset[str] = frozenset()  # whom the last heartbeat called silent
        self._condemned_ms: dict[str, int] = {}  # node -> since when a majority calls it silent

    # -- inputs

    def follow(self, voters: tuple[str, ...], sessions: Mapping[str, int], now_ms: int) -> None:
        """Take the voters, and the nodes whose session is up with its revision."""
        if voters != self._voters:
            self._voters = voters
            self._began_ms = now_ms
        for node in {*voters, *sessions} - {self._node}:
            if node not in self._heard_ms or sessions.get(node, 0) > self._sessions.get(node, 0):
                self._heard_ms[node] = now_ms
                for report in self._reports.values():
                    report.silent_ms.pop(node, None)  # it was said of the session before
        for node in (self._sessions.keys() - sessions.keys()) & self._heard_ms.keys():
            self._heard_ms[node] = min(self._heard_ms[node], now_ms - self._timeout_ms)
        self._sessions = dict(sessions)
        for node in self._heard_ms.keys() - {*voters, *sessions}:
            if self._silent_ms(node, now_ms) >= self._timeout_ms:
                del self._heard_ms[node]
                self._reports.pop(node, None)
        self._judge(now_ms)

    def heard(self, node: str, silent_ms: Mapping[str, int], now_ms: int) -> None:
        """Take a heartbeat: `silent_ms` is for how long its sender has not heard each other."""
        self._wake(now_ms)
        self._heard_ms[node] = now_ms
        self._reports[node] = _Report(now_ms, dict(silent_ms))
        self._judge(now_ms)

    def tick(self, now_ms: int) -> bool:
        """Let time pass; due at `due_ms`. Says whether a heartbeat is to be sent now."""
        self._wake(now_ms)
        self._judge(now_ms)
        said = self._suspects(now_ms)
        beats = now_ms >= self._next_beat_ms or said != self._said
        if beats:
            self._said = said
            begins = self.contact_ms(now_ms) <= self._began_ms
            self._next_beat_ms = now_ms + self._interval_ms // (5 if begins else 1)
        self._due_ms = min([self._next_beat_ms, *self._deadlines(now_ms)])
        return beats

    def _deadlines(self, now_ms: int) -> list[int]:
        timers = [heard + self._timeout_ms for heard in self._heard_ms.values()]
        wait_ms = self._rank(now_ms) * _STAGGER_MS
        proposals = [since + wait_ms for since in self._condemned_ms.values()]
        return [time for time in (*timers, *proposals) if time > now_ms]

    def _wake(self, now_ms: int) -> None:
        """Restart the timers when this node did not run when it should have (F3)."""
        if now_ms > self._due_ms + LATE_MS:
            self._stood_still_ms = now_ms - self._due_ms
            self._restart(now_ms)
            self._began_ms = self._woke_ms = now_ms
        self._due_ms = max(self._due_ms, now_ms)

    def _restart(self, now_ms: int) -> None:
        self._heard_ms = dict.fromkeys(self._heard_ms, now_ms)
        self._condemned_ms.clear()

    # -- beliefs

    @property
    def due_ms(self) -> int:
        """When the next tick is due."""
        return self._due_ms

    def has_just_woken(self, now_ms: int) -> bool:
        """Say whether heartbeats may still come that waited while this node stood still."""
        return self._woke_ms is not None and now_ms - self._woke_ms < self._interval_ms

    def take_stood_still_ms(self) -> int:
        """Return for how long this node has stood still since it was last asked, else 0."""
        still_ms, self._stood_still_ms = self._stood_still_ms, 0
        return still_ms

    def silent_ms(self, now_ms: int) -> dict[str, int]:
        """Return what the next heartbeat says: for how long each other was not heard.

        Out of contact with a majority it accuses nobody (F3).
        """
        silent = {node: now_ms - heard for node, heard in self._heard_ms.items()}
        if self._was_deaf:
            return {node: min(ms, self._timeout_ms - 1) for node, ms in silent.items()}
        return silent

    def alive(self, now_ms: int) -> frozenset[str]:
        """Return this node, and who votes or has a session and is not suspected."""
        followed = {*self._voters, *self._sessions}
        return frozenset({self._node} | (followed - self._suspects(now_ms)))

    def leader(self, now_ms: int) -> str:
        """Return the first voter that is not suspected; itself, if it votes, when all are."""
        alive = self.alive(now_ms)
        last = self._node if self._votes else self._voters[0]
        return next((voter for voter in self._voters if voter in alive), last)

    def leads(self, now_ms: int) -> bool:
        """Say whether a majority agrees that this node leads (F5)."""
        if not self._votes or self._was_deaf:
            return False
        before = self._voters[: self._voters.index(self._node)]
        return all(self._is_condemned(node, now_ms) for node in before)

    def lost(self, now_ms: int) -> dict[str, int]:
        """Return the sessions, node -> revision, whose loss it is this node's turn to propose."""
        wait_ms = self._rank(now_ms) * _STAGGER_MS
        return {
            node: self._sessions[node]
            for node, since in self._condemned_ms.items()
            if now_ms >= since + wait_ms and self._is_condemned(node, now_ms)
        }

    def contact_ms(self, now_ms: int) -> int:
        """Return when a majority of voters was last in contact, each way (F4)."""
        times = sorted((self._contact_ms(voter, now_ms) for voter in self._voters), reverse=True)
        return times[len(self._voters) // 2]

    def isolated_since_ms(self, now_ms: int) -> int | None:
        """Return since when no majority is in contact, None while one is."""
        contact_ms = self.contact_ms(now_ms)
        return contact_ms if now_ms - contact_ms > self._deaf_ms else None

    # -- how they come about

    @property
    def _votes(self) -> bool:
        return self._node in self._voters

    def _contact_ms(self, voter: str, now_ms: int) -> int:
        if voter == self._node:
            return now_ms
        report = self._reports.get(voter)
        if report is None or self._node not in report.silent_ms:
            return self._began_ms
        return max(self._began_ms, report.came_ms - report.silent_ms[self._node])

    def _silent_ms(self, node: str, now_ms: int) -> int:
        return now_ms - self._heard_ms.get(node, now_ms)

    def _suspects(self, now_ms: int) -> frozenset[str]:
        heard = self._heard_ms.items()
        return frozenset(node for node, ms in heard if now_ms - ms >= self._timeout_ms)

    def _judge(self, now_ms: int) -> None:
        """Find out whom a majority calls silent, after this node's own contact is clear."""
        is_deaf = now_ms - self.contact_ms(now_ms) > self._deaf_ms
        if self._was_deaf and not is_deaf:
            self._restart(now_ms)
        self._was_deaf = is_deaf
        silent = [node for node in self._sessions if self._is_condemned(node, now_ms)]
        self._condemned_ms = {node: self._condemned_ms.get(node, now_ms) for node in silent}

    def _is_condemned(self, node: str, now_ms: int) -> bool:
        """Say whether a majority of voters, this one among them, calls a node silent (F2)."""
        if not self._votes or self._was_deaf or node == self._node:
            return False
        if self._silent_ms(node, now_ms) < self._timeout_ms:
            return False
        others = (self._calls_silent(v, node, now_ms) for v in self._voters if v != self._node)
        return 1 + sum(others) > len(self._voters) // 2

    def _calls_silent(self, voter: str, node: str, now_ms: int) -> bool:
        report = self._reports.get(voter)
        if report is None or now_ms - report.came_ms > 2 * self._interval_ms:
            return False  # it may have heard it since
        return report.silent_ms.get(node, 0) >= self._timeout_ms

    def _rank(self, now_ms: int) -> int:
        """Return how many voters before this one are not suspected."""
        alive, rank = self.alive(now_ms), 0
        for voter in self._voters:
            if voter == self._node:
                break
            rank += voter in alive
        return rank
