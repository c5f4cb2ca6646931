"""What is done to the data directory of a stopped node, beside what `jobctl` does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from actors.errors import Conflict, DataDirectory
from jobd.node.data_directory import NodeDirectory, new_node_id

__all__ = ["force_alone"]


def force_alone(
    path: Path, *, confirm: Callable[[str], bool] | None, say: Callable[[str], object]
) -> None:
    """Make a node a cluster of its own, once that is confirmed.

    Raises DataDirectory (in use, or no node's), Conflict (not confirmed), Corrupt.
    """
    from jobd.node.wiring.force_epoch import force_epoch, look

    if not (path / "format").exists():
        raise DataDirectory(f"{path} is no data directory", remedy="name one with --data")
    os.umask(0o077)
    directory = NodeDirectory.open(path, new_id=new_node_id())
    try:
        found = look(directory)
        others = [node for node in found.members if node != directory.node_id]
        say(f"node {directory.node_id} of the cluster {found.cluster}, epoch {found.epoch}:")
        say(f"  it has executed {found.executed} commands, up to revision {found.revision}")
        say(f"  it goes on alone, under a new cluster id; {len(others)} other voters are left:")
        for node in others:
            say(f"    {node}")
        say("  what was acknowledged and only they knew is lost; they can never come back with")
        say("  their data: empty their directories and have them join")
        if confirm is not None and not confirm("Is the quorum lost for good?"):
            raise Conflict("nothing was changed")
        done = force_epoch(directory, time.time_ns() // 1_000_000)
        say(f"the cluster {done.cluster} begins at revision {done.revision}: start the node")
    finally:
        directory.close()
