"""A directory of the version before is taken over; one of a newer version is not touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.errors import DataDirectory
from jobd.node.data_directory import FORMAT, NodeDirectory


def test_the_format_before_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("1\n")
    identity = {"id": "a", "cluster": "a", "incarnation": 7}
    (tmp_path / "node.json").write_text(json.dumps(identity))
    directory = NodeDirectory.open(tmp_path, new_id="b")
    assert (directory.node_id, directory.incarnation) == ("a", 7)
    assert (tmp_path / "format").read_text() == f"{FORMAT}\n"
    directory.close()


def test_a_newer_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format").write_text(f"{FORMAT + 1}\n")
    with pytest.raises(DataDirectory, match="this node reads format"):
        NodeDirectory.open(tmp_path, new_id="b")
    assert (tmp_path / "format").read_text() == f"{FORMAT + 1}\n"


def test_a_node_keeps_the_cluster_that_it_belongs_to(tmp_path: Path) -> None:
    directory = NodeDirectory.open(tmp_path, new_id="b")
    assert directory.cluster_id == "b"
    directory.belong("c")
    directory.next_incarnation()
    directory.close()
    again = NodeDirectory.open(tmp_path, new_id="z")
    assert (again.node_id, again.cluster_id, again.incarnation) == ("b", "c", 1)
    again.close()
