"""Metrics of the disk under the data directory, read at the scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.core.ports import DiskUsage

__all__ = ["DiskMetrics"]


class DiskMetrics(Collector):
    """How full the file system is, and whether the node takes on nothing new for it."""

    def __init__(self, usage: Callable[[], DiskUsage], read_only: Callable[[], str | None]) -> None:
        self._usage = usage
        self._read_only = read_only

    def collect(self) -> Iterator[Metric]:
        """Ask the file system."""
        used, total = self._usage()
        for name, text, value in (
            ("jobd_disk_used_bytes", "In use, of the data's file system", used),
            ("jobd_disk_total_bytes", "In use or free for the node", total),
            ("jobd_read_only", "1 while writes are refused", int(self._read_only() is not None)),
        ):
            family = GaugeMetricFamily(name, text)
            family.add_metric([], value)
            yield family
