"""Nobody but the node's user may read what is in a data directory."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from tests.integration.node_process import running


def readable_by_others(data: Path) -> list[str]:
    """Name what group or others may read or list, sockets included; to pass is no reading."""
    paths = [path for path in data.rglob("*") if not path.is_symlink()]
    return [
        str(path) for path in paths if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) & 0o66
    ]


def test_files_are_the_users_own_where_the_directory_is_not(tmp_path: Path) -> None:
    data, moved = tmp_path / "data", tmp_path / "moved"
    for directory in (data, moved):
        directory.mkdir()
        directory.chmod(0o755)
    before = os.umask(0o022)
    try:
        with running(data) as node:
            node.ended(
                node.submit(shell='echo secret; head -c 99999 /dev/zero | tr "\\0" 1 >$JOBD_OUTPUT')
            )
            assert readable_by_others(data) == []
            assert node.stop() == 0
            assert readable_by_others(data) == []
        jobctl = [sys.executable, "-m", "jobd.cli", "--data"]
        export = str(tmp_path / "state.ndjson")
        subprocess.run([*jobctl, str(data), "store", "export", export], check=True)
        subprocess.run([*jobctl, str(moved), "store", "import", export], check=True)
        assert readable_by_others(moved) == []
    finally:
        os.umask(before)
