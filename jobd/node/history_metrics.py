"""Metrics of a node's history, read at the scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors import addresses
from actors.runtime import Clock
from jobd.node.history_process import HistoryProcess

__all__ = ["HistoryMetrics"]


class HistoryMetrics(Collector):
    """What `/metrics` says of the history. `actors` are the present ones, by address."""

    def __init__(self, clock: Clock, process: HistoryProcess, actors: Mapping[str, Any]) -> None:
        self._clock = clock
        self._process = process
        self._actors = actors

    def collect(self) -> Iterator[Metric]:
        """Read the gauges and counters."""
        history = self._actors[addresses.HISTORY]
        lag = GaugeMetricFamily(
            "jobd_history_lag_seconds", "How long the oldest ended job has waited for the history"
        )
        lag.add_metric([], history.lag_s(self._clock.now_ms()))
        yield lag
        yield _counter("jobd_history_rows", "Records given to the history", history.rows)
        yield _counter(
            "jobd_history_restarts",
            "History processes that were started after the first",
            self._process.restarts,
        )
        yield _counter(
            "jobd_history_unrecorded",
            "Ended jobs that were let go while the history was down",
            self._actors[addresses.HOME].unrecorded,
        )


def _counter(name: str, text: str, value: int) -> Metric:
    family = CounterMetricFamily(name, text)
    family.add_metric([], value)
    return family
