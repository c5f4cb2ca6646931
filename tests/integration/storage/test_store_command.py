"""jobctl store: the state of a stopped node moves between engines and data directories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.node_process import running


def jobctl(data: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobd.cli", "--data", str(data), "store", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_state_moves_to_rocksdb_and_back(tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "jobd.yaml"
    config.write_text("storage: {engine: rocksdb}\n")
    with running(data) as node:
        job_id = node.submit(cmd="true")
        node.ended(job_id)
        held = jobctl(data, "migrate", "--to", "rocksdb")
        assert held.returncode != 0
        assert "in use" in held.stderr
        assert node.stop() == 0

        assert jobctl(data, "migrate", "--to", "rocksdb").returncode == 0
        node_2 = subprocess.run(
            [sys.executable, "-m", "jobd", "start", "--data", str(data)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert node_2.returncode == 78
        assert "storage.engine" in node_2.stderr
    with running(data, "--config", str(config)) as node:
        assert node.job(job_id)["state"] == "succeeded"
        assert node.stop() == 0
    assert jobctl(data, "migrate", "--to", "sqlite").returncode == 0
    with running(data) as node:
        assert node.job(job_id)["state"] == "succeeded"
        node.ended(node.submit(cmd="true"))


def test_an_export_goes_on_in_another_directory(tmp_path: Path) -> None:
    with running(tmp_path / "old") as node:
        job_id = node.submit(cmd="true")
        node.ended(job_id)
        assert node.stop() == 0
    export = tmp_path / "state.ndjson"
    assert jobctl(tmp_path / "old", "export", str(export)).returncode == 0
    again = jobctl(tmp_path / "old", "import", str(export))
    assert again.returncode != 0
    assert "holds state already" in again.stderr

    assert jobctl(tmp_path / "new", "import", str(export)).returncode == 0
    (tmp_path / "new" / "admin.token").write_text((tmp_path / "old" / "admin.token").read_text())
    with running(tmp_path / "new") as node:
        assert node.job(job_id)["state"] == "succeeded"
        node.ended(node.submit(cmd="true"))
        node.kill()
        node.start()
        assert node.job(job_id)["state"] == "succeeded"
