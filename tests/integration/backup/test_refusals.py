"""A backup that is not whole is refused, naming what is wrong; so is a place that won't do."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.errors import JobdError
from jobd.node.backup_files import check_files, holding, read_manifest
from jobd.node.wiring.backup import restore
from tests.integration.backup.conftest import Source, backup
from tests.integration.node_process import NodeProcess
from tests.parts import need


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def copied(source: Source, tmp_path: Path) -> Path:
    path = tmp_path / "backup"
    shutil.copytree(source.path, path)
    return path


def refusals(path: Path, data: Path) -> list[JobdError]:
    """What verifying and restoring a backup say, without a process for each."""

    def verify() -> None:
        check_files(path, read_manifest(path), lambda _: None)

    def restored() -> None:
        restore(path, data, now_ms=1, progress=lambda _: None)

    found = []
    for act in (verify, restored):
        with pytest.raises(JobdError) as caught:
            act()
        found.append(caught.value)
    assert not data.exists() or not any(data.iterdir())
    return found


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_harm_to_any_file_is_named(
    source: Source, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    files = [path.relative_to(source.path) for path in source.path.rglob("*") if path.is_file()]
    parts = {"artifacts", "events", "history", "joblogs", "manifest.json"}
    assert {path.parts[0] for path in files} >= parts
    for file in files:
        path = copied(source, tmp_path)
        harm(path / file)
        for error in refusals(path, tmp_path / "data"):
            assert str(file) in error.message
        shutil.rmtree(path)


def test_a_refusal_ends_the_command(source: Source, tmp_path: Path) -> None:
    path = copied(source, tmp_path)
    flip(path / "state.sqlite")
    for done in (backup(tmp_path, "verify", path), backup(tmp_path / "data", "restore", path)):
        assert done.returncode == 70
        assert "state.sqlite is damaged: its sha256" in done.stderr


def test_what_was_added_is_named(source: Source, tmp_path: Path) -> None:
    path = copied(source, tmp_path)
    (path / "artifacts" / "more").write_text("x")
    assert "artifacts/more is not in the manifest" in backup(tmp_path, "verify", path).stderr
    (path / "artifacts" / "more").unlink()
    (path / "artifacts" / "link").symlink_to("/etc/passwd")
    done = backup(tmp_path / "data", "restore", path)
    assert "artifacts/link is no plain file" in done.stderr


def test_a_manifest_that_was_written_for_another_state(source: Source, tmp_path: Path) -> None:
    """Its own checksum is redone: what is left is that the state has another digest."""
    path = copied(source, tmp_path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["origin"]["digest"] = "1-1-00"
    manifest["sha256"] = ""
    body = json.dumps(manifest, separators=(",", ":")).encode()
    manifest["sha256"] = hashlib.sha256(body).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))
    for done in (backup(tmp_path, "verify", path), backup(tmp_path / "data", "restore", path)):
        assert done.returncode == 70
        assert "digest" in done.stderr
    assert not any((tmp_path / "data").iterdir())


def test_another_format(source: Source, tmp_path: Path) -> None:
    path = copied(source, tmp_path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["origin"] = {"format": 2, "shape": "new"}
    (path / "manifest.json").write_text(json.dumps(manifest))
    done = backup(tmp_path, "verify", path)
    assert done.returncode == 76
    assert "has format 2, this JobD reads format 1" in done.stderr


def test_a_backup_that_was_cut_short(source: Source, tmp_path: Path) -> None:
    part = tmp_path / "jobd-7.part"
    shutil.copytree(source.path, part)
    (part / "manifest.json").unlink()
    done = backup(tmp_path / "data", "restore", part)
    assert done.returncode == 76
    assert "is no whole backup" in done.stderr


def test_a_restore_that_was_cut_short(source: Source, tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "jobd.cli", "--data", str(data), "backup", "restore"]
    process = subprocess.Popen([*command, str(source.path)])
    deadline = time.monotonic() + 20
    while not (data / "format").exists() and time.monotonic() < deadline:
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "killed too late to be cut short"
    start = [sys.executable, "-m", "jobd", "start", "--data", str(data)]
    done = subprocess.run(start, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 73
    assert "was cut short" in done.stderr and "restore again" in done.stderr


def test_a_directory_that_is_in_use(source: Source) -> None:
    done = backup(source.node.data, "restore", source.path)
    assert done.returncode == 76
    assert "is not empty" in done.stderr


def test_nothing_to_back_up(tmp_path: Path) -> None:
    done = backup(tmp_path / "none", "create", tmp_path / "backups")
    assert done.returncode == 69
    assert not (tmp_path / "none").exists()


def test_the_same_revision_again(source: Source) -> None:
    done = backup(source.node.data, "verify", source.path)
    assert done.returncode == 0
    assert "whole" in done.stderr


def test_one_that_is_being_copied_stays(source: Source, tmp_path: Path) -> None:
    staged = Path(source.node.call("POST", "/backups")["path"])
    before = sorted(staged.rglob("*"))
    with holding(staged):
        done = backup(source.node.data, "create", tmp_path)
        assert done.returncode == 76
        assert "a backup is being copied" in done.stderr
        assert sorted(staged.rglob("*")) == before
    assert backup(source.node.data, "create", tmp_path).returncode == 0
    assert not staged.exists()


def test_no_room(source: Source, tmp_path: Path) -> None:
    need("root", os.geteuid() == 0, "a small file system has to be mounted")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        for done in (
            backup(source.node.data, "create", small),
            backup(small, "restore", source.path),
        ):
            assert done.returncode == 70
            assert "MiB free" in done.stderr
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_node_that_serves_no_image(tmp_path: Path) -> None:
    config = tmp_path / "jobd.yaml"
    config.write_text("storage: {engine: memory}\n")
    node = NodeProcess(tmp_path / "data", "--config", str(config))
    try:
        node.start()
        done = backup(node.data, "create", tmp_path / "backups")
        assert done.returncode == 70
        assert "storage.engine memory has no image on disk" in done.stderr
    finally:
        node.end()
