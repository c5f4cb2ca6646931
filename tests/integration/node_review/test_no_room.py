"""Where there is no room, a node says so in one line and keeps who it is."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.backends.job_logs import JobLogs
from actors.errors import DataDirectory, ReadOnly, StorageFailed
from jobd.node.data_directory import NodeDirectory, new_node_id


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond a size: the nearest to a full disk that a test may have."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 10])
def test_an_incarnation_that_found_no_room_is_not_taken(tmp_path: Path, size: int) -> None:
    directory = NodeDirectory.open(tmp_path / "data", new_id=new_node_id())
    node, taken = directory.node_id, directory.next_incarnation()
    with room_for(size), pytest.raises(DataDirectory, match=r"node\.json"):
        directory.next_incarnation()
    assert directory.incarnation == taken
    assert directory.next_incarnation() == taken + 1
    directory.close()
    again = NodeDirectory.open(tmp_path / "data", new_id=new_node_id())
    assert (again.node_id, again.incarnation) == (node, taken + 1)
    again.close()


def test_job_logs_that_find_no_room_say_so(tmp_path: Path) -> None:
    with room_for(0), pytest.raises((ReadOnly, StorageFailed), match="the job logs"):
        JobLogs(tmp_path)
    JobLogs(tmp_path).close()
