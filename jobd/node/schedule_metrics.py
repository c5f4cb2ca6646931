"""How late schedules fire, and what they miss, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

__all__ = ["ScheduleMetrics"]

_LATENESS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ScheduleMetrics:
    """What this node decided; the sum over the nodes is the cluster's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lateness = Histogram(
            "jobd_schedule_lateness_seconds",
            "From when a fire was due to when its job was durable, without what was made up for",
            buckets=_LATENESS_S,
            registry=registry,
        )

    def observe_lateness(self, seconds: float) -> None:
        """Count one fire."""
        self._lateness.observe(seconds)

    def serve(self, missed: Callable[[], Mapping[str, int]]) -> None:
        """Add what is read when somebody asks."""
        self._registry.register(_Missed(missed))


class _Missed(Collector):
    def __init__(self, missed: Callable[[], Mapping[str, int]]) -> None:
        self._missed = missed

    def collect(self) -> Iterator[Metric]:
        """Read the counters."""
        family = CounterMetricFamily(
            "jobd_schedule_missed", "Fires that did not happen, by reason", labels=["reason"]
        )
        for reason, count in self._missed().items():
            family.add_metric([reason], count)
        yield family
