"""What a node has on disk, opened and brought up to the end of its log."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from actors.backends.event_segments import EventSegments
from actors.backends.segment_log import SegmentLog
from actors.core.ports import StateStore
from jobd.config import Config
from jobd.node.data_directory import NodeDirectory
from jobd.node.storage import Recovered, recover
from jobd.node.wiring.stores import open_events, open_store

__all__ = ["Disk", "open_disk"]

_log: Final = logging.getLogger(__name__)


class Disk(NamedTuple):
    """The log, the image and the event log of a node, and what recovery found in them."""

    log: SegmentLog
    store: StateStore
    events: EventSegments
    recovered: Recovered


def open_disk(config: Config, directory: NodeDirectory) -> Disk:
    """Open a data directory and replay its log. Raises Corrupt, ConfigError, StorageFailed."""
    data = directory.path
    store = open_store(config.storage.engine, data)
    events = open_events(data / "events")
    log = SegmentLog.open(data / "log")
    recovered = recover(log, store, events, node=directory.node_id, cluster=directory.cluster_id)
    _log.info(
        "recovered %d keys at revision %d, %d log records replayed in %.3f s",
        len(recovered.state),
        recovered.state.revision,
        recovered.replayed,
        recovered.took_s,
    )
    return Disk(log, store, events, recovered)
