"""One real node for all pages: starting one for each costs more than what the pages do with it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.node_process import NodeProcess, running


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    data = tmp_path_factory.mktemp("node") / "data"
    with running(data, "--name", "vm") as started:
        yield started
        # A page may have killed the node and started another in its place.
        pid = int((data / "lock").read_text())
        if pid != started.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
