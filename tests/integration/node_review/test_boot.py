"""Told to stop, or out of disk, while it boots: a node ends soon and says the real cause."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.backends.segment_log import SegmentLog
from actors.errors import DataDirectory, StorageFailed
from jobd.cluster_section import ClusterSection
from jobd.config import Config, HttpSection, NodeSection, TelemetrySection
from jobd.node import boot
from jobd.node.data_directory import NodeDirectory, new_node_id

SOON_S = 8.0


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """A node changes its process, and one that ends in its boot leaves the collector off."""
    umask, interval = os.umask(0o077), sys.getswitchinterval()
    yield
    gc.enable()
    os.umask(umask)
    sys.setswitchinterval(interval)


def config(data: Path) -> Config:
    return Config(
        node=NodeSection(data=str(data)),
        http=HttpSection(bind="127.0.0.1:0"),
        cluster=ClusterSection(bind="127.0.0.1:0"),
        telemetry=TelemetrySection(metrics="127.0.0.1:0"),
    )


def test_a_failed_fsync_at_the_first_write_is_what_the_node_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(log: SegmentLog, entries: Any) -> None:
        raise StorageFailed("fsync: planted")

    monkeypatch.setattr(SegmentLog, "append", fail)
    began = time.monotonic()
    with pytest.raises(StorageFailed, match="planted"):
        boot.run(config(tmp_path / "data"), boot.Options())
    assert time.monotonic() - began < SOON_S


def test_a_signal_is_heard_while_the_first_write_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = threading.Event()

    def hang(log: SegmentLog, entries: Any) -> None:
        hanging.set()
        threading.Event().wait()

    def tell() -> None:
        hanging.wait(10)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(SegmentLog, "append", hang)
    teller = threading.Thread(target=tell)
    teller.start()
    began = time.monotonic()
    boot.run(config(tmp_path / "data"), boot.Options())
    assert time.monotonic() - began < SOON_S
    teller.join()
    with pytest.raises(DataDirectory, match="in use"):  # by the write that hangs
        NodeDirectory.open(tmp_path / "data", new_id=new_node_id())
