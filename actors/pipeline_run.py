"""The entity that advances one run of a pipeline: starts its steps, stops them, ends the run.

Each voter has one, and that of the run's home decides at once; the others do when the feed has
shown nothing of the run for as long as their rank asks. It holds nothing that the state does not:
where the run stands, read when it is activated and kept from the changes that the `RunHome` of its
node passes on. So it may be ended at any point, here or with its node: what it had decided is in
the state, and what it had not is decided from there.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors import addresses
from actors.consensus_replica import SubmitTxn
from actors.core import buckets, dag
from actors.core.homes import Homes
from actors.core.store.txn import Committed
from actors.core.view import View
from actors.model import keys
from actors.model.ids import make_id
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    LoopActor,
    Tell,
    handles,
)

__all__ = ["AdvanceRun", "PipelineRun", "Reconsider", "Repaired"]

_RETRY_S = 1.0


class AdvanceRun(msgspec.Struct, frozen=True):
    """The run, these steps of it, or jobs of theirs have changed, or its time has come."""

    steps: tuple[str, ...] = ()


class Reconsider(msgspec.Struct, frozen=True):
    """Look at the run anew; whoever asks has passed on all that came up to this revision."""

    revision: int


class Repaired(msgspec.Struct, frozen=True):
    """Only looking anew found that something was to be decided."""


class _Decide(msgspec.Struct, frozen=True):
    pass


class PipelineRun(LoopActor):
    """One per open run and node, at `/run/<id>`."""

    def __init__(self, view: View, run_id: str, homes: Homes) -> None:
        super().__init__()
        self._view = view
        self._run_id = run_id
        self._homes = homes
        self._standing = dag.Standing()
        self._deciding = False
        self._submitted: tuple[str, ...] = ()  # the steps that the decision under way puts

    def on_start(self) -> Effects:
        """Read where the run stands."""
        self._standing = dag.standing_of(self._view, self._run_id)
        return self._in_turn()

    @handles(AdvanceRun)
    def advance(self, message: AdvanceRun, context: Context) -> Effects:
        """Take the changes in and decide, unless a decision is under way.

        The standing may be older than the view, never newer: a step that it lacks conflicts.
        """
        self._take(message.steps)
        return self._in_turn()

    def _take(self, steps: tuple[str, ...]) -> None:
        for key in steps:
            entry = self._view.get(key)
            if entry is not None:
                self._standing.take(key, entry.noun)

    @handles(Reconsider)
    def reconsider(self, message: Reconsider, context: Context) -> Iterator[Effect]:
        """Decide from the state alone; what is found now, no change has told of."""
        self._standing = dag.standing_of(self._view, self._run_id)
        is_news = message.revision == self._view.revision and not self._deciding
        if self._homes.wait_ms(keys.run(self._run_id)) == 0:
            found = list(self._advance())
            if found and is_news:
                yield Tell(addresses.RUNS, Repaired())
            yield from found
        else:
            yield from self._in_turn() or ()

    def _in_turn(self) -> Effects:
        """Decide as the home; else when nobody has for a while: each change begins it anew."""
        wait_ms = self._homes.wait_ms(keys.run(self._run_id))
        if wait_ms is None:
            return None
        return [After(wait_ms / 1000, _Decide(), key="turn")] if wait_ms else self._advance()

    @handles(_Decide)
    def decide(self, message: _Decide, context: Context) -> Effects:
        """The nodes before this one had their time."""
        return self._advance()

    def _advance(self) -> Iterator[Effect]:
        if self._deciding:
            return
        txn = dag.advance(
            self._view,
            self._run_id,
            now_ms=self.clock.now_ms(),
            new_id=self._new_id,
            standing=self._standing,
        )
        if txn is not None:
            self._deciding = True
            self._submitted = tuple([key for key, _ in txn.ops if key.startswith("step/")])
            yield Ask(addresses.REPLICA, SubmitTxn(txn, grows=True), None, timeout_s=None)

    def _new_id(self) -> str:
        open_ms = buckets.open_from_ms(self._view, self.clock.now_ms())
        return make_id(open_ms, self.rng.getrandbits(80))

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Effects:
        """Committed or conflicting: the state has moved, decide from what it is.

        Who was faster is at work, if this is not the home: leave it the next decision too.
        """
        self._deciding = False
        if not isinstance(message.value, Committed):
            return self._in_turn()
        self._take(self._submitted)
        return self._advance()

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """Refused for now (the disk is full): again in a moment."""
        self._deciding = False
        return [After(_RETRY_S, AdvanceRun(), key="again")]
