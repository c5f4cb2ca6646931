"""A node of its own for each test that breaks it, one for those that don't."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobd.dev.free_port import free_port
from tests.integration.node_process import NodeProcess, running

Start = Callable[..., NodeProcess]


def cluster_of(node: NodeProcess) -> str:
    """Return the address of a node's cluster port."""
    note = json.loads((node.data / "run" / "node.json").read_text())
    return str(note["cluster"])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start nodes at fixed ports."""
    with ExitStack() as nodes:

        def one(name: str = "node", *args: str) -> NodeProcess:
            port = f"--cluster=127.0.0.1:{free_port()}"
            return nodes.enter_context(running(tmp_path / name, port, *args))

        yield one


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running(tmp_path_factory.mktemp("node") / "data", "--name", "vm") as started:
        yield started
