"""One real node for each module of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.node_process import NodeProcess, running

SLOTS = 4


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running(tmp_path_factory.mktemp("node") / "data", "--slots", str(SLOTS)) as started:
        yield started
