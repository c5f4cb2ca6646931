"""One real node for each module, with an earlier job that no bad input may harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.node_process import NodeProcess, running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running(tmp_path_factory.mktemp("node") / "data", "--slots", "4") as started:
        yield started


@pytest.fixture(scope="module")
def kept(shared: NodeProcess) -> str:
    """A job that ended well before any of the tests."""
    job_id = shared.submit(shell="echo kept; echo 7 >$JOBD_OUTPUT")
    assert shared.ended(job_id)["state"] == "succeeded"
    return job_id


@pytest.fixture
def node(shared: NodeProcess, kept: str) -> Iterator[NodeProcess]:
    """The node, which after each test is the same process, serves, and has lost nothing."""
    pid = shared.pid
    yield shared
    assert shared.pid == pid
    assert shared.call("GET", f"/jobs/{kept}/output") == 7
    assert [r["text"] for r in shared.logs(kept)] == ["kept\n"]
    assert shared.ended(shared.submit(cmd="true"))["state"] == "succeeded"
    assert "Traceback" not in shared.log()
