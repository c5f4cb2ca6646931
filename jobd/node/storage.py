"""Open what a node has on disk, and bring its state up to the end of the log."""

from __future__ import annotations

import time
from typing import NamedTuple

from actors.core.consensus.recovery_of_log import Recovery
from actors.core.ports import EventLog, LogStore, Row, StateStore
from actors.core.store.state import State
from actors.errors import Corrupt
from actors.model.event import Event

__all__ = ["Recovered", "recover"]


class Recovered(NamedTuple):
    """The state at the end of the log, and what the image on disk lacks of it."""

    state: State
    group: Recovery  # finish it with the node's new incarnation
    last_index: int  # the last record of the log
    image_index: int  # the record up to which the image makes the log unnecessary
    image_revision: int
    unwritten_rows: dict[str, Row]
    unwritten_events: list[Event]
    replayed: int
    took_s: float


def recover(
    log: LogStore, store: StateStore, events: EventLog, *, node: str, cluster: str
) -> Recovered:
    """Load the image, make it durable and replay the log behind it. Raises Corrupt.

    The image may have commands whose records a killed node had not yet written to the log, which
    goes on behind them: from now on they must not be lost.

    `node` and `cluster` are who a node alone is, from before there were epochs.
    """
    began = time.monotonic()
    image = store.load()
    store.flush()
    state = State()
    state.restore(image.revision, image.rows, image.sessions)
    touched: set[str] = set()
    group = Recovery(node, cluster, image.position, image.applied_index)
    index = image.applied_index
    with state.unfollowed():
        for entry in log.replay(index):
            if entry.index != index + 1:
                raise Corrupt(
                    f"the log goes on with record {entry.index} where {index + 1} was expected",
                    remedy="restore the data directory from a backup",
                )
            index = entry.index
            for batch in group.replay(entry):
                for txn in batch.txns:
                    state.apply(txn)
                    for key, _ in txn.ops:
                        touched.add(key)
    if log.last_index < image.applied_index:
        raise Corrupt(
            f"the image holds record {image.applied_index}, the log ends at {log.last_index}",
            remedy="the directory is a mix of two copies: restore it from one backup",
        )
    new = [event for event in state.take_events() if event.revision > events.last_revision]
    return Recovered(
        state,
        group,
        index,
        image.applied_index,
        image.revision,
        _rows(state, touched),
        new,
        index - image.applied_index,
        time.monotonic() - began,
    )


def _rows(state: State, touched: set[str]) -> dict[str, Row]:
    """Return what the image is to have of these keys."""
    found = ((key, state.raw(key) or (state.revision, None)) for key in touched)
    return {key: Row(key, revision, value) for key, (revision, value) in found}
