"""A real node, and a process of its own for each test."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import actors
from actors.runtime.remote import process
from tests.integration.node_process import NodeProcess, running
from tests.integration.remote.peer import peer


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running(tmp_path_factory.mktemp("node") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def address(node: NodeProcess) -> str:
    told = json.loads((node.data / "run" / "node.json").read_text())
    return f"tcp://{told['cluster']}"


@pytest.fixture
def connected(node: NodeProcess, address: str) -> Iterator[None]:
    """This process linked to the node, with nothing left of earlier tests."""
    actors.connect(address, token=node.token)
    yield
    process.end()


@pytest.fixture
def other(connected: None, node: NodeProcess, address: str) -> Iterator[None]:
    """Another process with the actors counter, gate, sleeper and scoped."""
    with peer(address, node.token):
        yield
