"""The actor that other nodes ask what this node is, and that forms a cluster with them.

In a node it only answers. While a node has no state yet, it asks all others it is linked with,
round by round, until `actors/core/formation.py` has decided.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from actors.core.formation import Form, Formation, Refuse, Says, Wait, WhoAreYou
from actors.model.epoch import Epoch
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    LoopActor,
    Reply,
    handles,
)

__all__ = ["FORMATION_TYPES", "Founder", "Teller"]

_log: Final = logging.getLogger(__name__)
_ROUND_S: Final = 0.1
_SLOW_ROUND_S: Final = 1.0
_QUICK_ROUNDS: Final = 50
FORMATION_TYPES: Final = (Says, WhoAreYou)


class Teller(LoopActor):
    """Says of which cluster this node is."""

    def __init__(self, node: str, epoch: Callable[[], Epoch]) -> None:
        super().__init__()
        self._node = node
        self._epoch = epoch

    @handles(WhoAreYou)
    def who_are_you(self, message: WhoAreYou, context: Context) -> Effects:
        """Answer with the present epoch."""
        return [Reply(context.reply, Says(self._node, formed=self._epoch()))]


class _Round(msgspec.Struct, frozen=True):
    pass


class Founder(LoopActor):
    """Asks until a cluster is formed. `linked()` are the nodes that can be asked now.

    `formation()` is None while this node doesn't know which of the peers it is itself; `decided`
    is called once.
    """

    def __init__(
        self,
        node: str,
        formation: Callable[[], Formation | None],
        *,
        linked: Callable[[], frozenset[str]],
        decided: Callable[[Form | Refuse], None],
    ) -> None:
        super().__init__()
        self._node = node
        self._formation = formation
        self._linked = linked
        self._decided = decided
        self._round = 0
        self._is_over = False
        self._said = ""

    def on_start(self) -> Effects:
        """Begin the rounds."""
        return self._begin_round()

    @handles(_Round)
    def next_round(self, message: _Round, context: Context) -> Effects:
        """Say what is missing, and ask all anew."""
        formation = self._formation()
        if formation is not None and not self._is_over:
            self._take(formation.state(), at_end=True)
        return self._begin_round()

    def _begin_round(self) -> Iterator[Effect]:
        if self._is_over:
            return
        self._round += 1
        formation = self._formation()
        if formation is not None:
            formation.begin_round()
            for node in sorted(self._linked()):
                tag = (self._round, node)
                yield Ask(f"jobd://{node}/formation", WhoAreYou(), tag, timeout_s=_SLOW_ROUND_S)
        pause_s = _ROUND_S if self._round <= _QUICK_ROUNDS else _SLOW_ROUND_S
        yield After(pause_s, _Round(), key="round")

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Effects:
        """Take an answer of the present round."""
        formation, says = self._formation(), message.value
        assert isinstance(message.tag, tuple), "only peers are asked here"
        number, node = message.tag
        is_timely = number == self._round and not self._is_over
        if is_timely and formation is not None and isinstance(says, Says) and says.node == node:
            self._take(formation.heard(says))
        return None

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """It is asked again in the next round."""
        return None

    def _take(self, outcome: Form | Refuse | Wait, *, at_end: bool = False) -> None:
        if not isinstance(outcome, Wait):
            self._is_over = True
            self._decided(outcome)
        elif at_end and outcome.reason != self._said:
            self._said = outcome.reason
            _log.info("forming a cluster: %s", outcome.reason)

    @handles(WhoAreYou)
    def who_are_you(self, message: WhoAreYou, context: Context) -> Effects:
        """Answer that this node is empty, and what it would begin."""
        formation = self._formation()
        says = formation.says() if formation is not None else Says(self._node)
        return [Reply(context.reply, says)]
