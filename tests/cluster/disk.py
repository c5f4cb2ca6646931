"""Disks of a test's nodes: one that forgets what was not synced, one that is small."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.node_process import until
from tests.parts import need

__all__ = ["Forgetful", "need_fuse", "small_disk", "unmount"]


def need_fuse() -> None:
    """Skip without FUSE."""
    pytest.importorskip("mfusepy")
    found = os.access("/dev/fuse", os.R_OK | os.W_OK) and shutil.which("fusermount") is not None
    need("fuse", found, "no /dev/fuse, or no fusermount (apt-get install fuse libfuse2)")


class Forgetful:
    """A mounted LazyDisk, served by a process of its own."""

    def __init__(self, backing: Path, mount: Path) -> None:
        for path in (backing, mount):
            path.mkdir()
        self.mount = mount
        command = [sys.executable, "-m", "tests.cluster.lazyfs", str(backing), str(mount)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def say(self, command: str) -> None:
        """Have it drop, tear, fail or mend."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ok\n", "the disk's process has ended"

    def close(self) -> None:
        """Unmount it and end its process."""
        unmount(self.mount)
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def small_disk(place: Path, mib: int) -> Path:
    """Mount a file system of its own with so much room."""
    need("root", os.geteuid() == 0, "only root mounts a file system")
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(place)]
    subprocess.run(command, check=True)
    return place


def unmount(place: Path) -> None:
    """Unmount once nothing uses it any more."""
    until(lambda: subprocess.run(["umount", place], check=False).returncode == 0)
