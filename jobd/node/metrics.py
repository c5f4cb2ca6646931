"""Metrics of a node, in the Prometheus format: counters from events, gauges read at the scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from actors.core.store.state import State
from actors.model.event import Event
from actors.runtime import LoopHost
from jobd.node.schedule_metrics import ScheduleMetrics

__all__ = ["NodeMetrics"]

_TYPES = ("command", "container", "js")
_DURATION_MS = (5, 10, 25, 50, 100, 250, 500, 1e3, 5e3, 3e4, 6e4, 6e5, 3.6e6, 8.64e7)
_FSYNC_S = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1, 5)


class NodeMetrics:
    """What `/metrics` serves. Labels are bounded: job types, actor classes."""

    def __init__(self, state: State) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._state = state
        self.schedules = ScheduleMetrics(self.registry)
        self._scheduled = self._counter("jobd_jobs_scheduled", "Jobs accepted")
        self._completed = self._counter("jobd_jobs_completed", "Jobs that succeeded")
        self._failed = self._counter("jobd_jobs_failed", "Jobs that failed")
        self._pipelines = Counter(
            "jobd_pipelines_started", "Runs of pipelines that began", registry=self.registry
        )
        self._duration = Histogram(
            "jobd_job_duration_milliseconds",
            "From the first attempt's start to the job's end",
            ["type"],
            buckets=_DURATION_MS,
            registry=self.registry,
        )
        self._fsync = Histogram(
            "jobd_store_fsync_seconds",
            "Time to write and sync one record of the log",
            buckets=_FSYNC_S,
            registry=self.registry,
        )

    def _counter(self, name: str, text: str) -> Counter:
        """A counter by job type; each begins at 0, so that the first job shows in a rate."""
        counter = Counter(name, text, ["type"], registry=self.registry)
        for type_ in _TYPES:
            counter.labels(type_)
        return counter

    def observe_fsync(self, seconds: float) -> None:
        """Count one durable write of the log (from the log's thread)."""
        self._fsync.observe(seconds)

    def observe_event(self, event: Event) -> None:
        """Count what an event says."""
        if event.type == "jobd:pipeline:started":
            self._pipelines.inc()
        self.schedules.observe_event(event)
        if not event.type.startswith("jobd:job:"):
            return
        entry = self._state.get(event.subject)
        kind = entry.noun.type if entry is not None else "unknown"
        match event.type.removeprefix("jobd:job:"):
            case "submitted":
                self._scheduled.labels(kind).inc()
            case "completed":
                self._completed.labels(kind).inc()
            case "failed":
                self._failed.labels(kind).inc()
            case _:
                return
        if entry is not None and entry.noun.started_ms and entry.noun.state in _ENDED:
            self._duration.labels(kind).observe(entry.noun.since_ms - entry.noun.started_ms)

    def serve(
        self, host: LoopHost, queue_depth: Callable[[], int], repairs: Callable[[], int]
    ) -> None:
        """Add the gauges that are read when somebody asks."""
        self.registry.register(_AtScrape(self._state, host, queue_depth, repairs))


_ENDED = ("succeeded", "failed")


class _AtScrape(Collector):
    def __init__(
        self,
        state: State,
        host: LoopHost,
        queue_depth: Callable[[], int],
        repairs: Callable[[], int],
    ) -> None:
        self._state = state
        self._host = host
        self._queue_depth = queue_depth
        self._repairs = repairs

    def collect(self) -> Iterator[Metric]:
        """Read the gauges."""
        yield _gauge("jobd_jobs_running", "Attempts that run now", self._state.count("attempt"))
        yield _gauge("jobd_queue_depth", "Attempts that wait for a slot", self._queue_depth())
        yield _gauge("jobd_store_revision", "The last applied revision", self._state.revision)
        repairs = CounterMetricFamily(
            "jobd_reconcile_repairs", "What only the reconcile pass found; stays 0"
        )
        repairs.add_metric([], self._repairs())
        yield repairs
        yield from self._actors()

    def _actors(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily(
            "jobd_actor_mailbox_depth", "Messages that wait, by actor class", labels=["actor"]
        )
        restarts = CounterMetricFamily(
            "jobd_actor_restarts", "Restarts after a crash, by actor class", labels=["actor"]
        )
        depths: dict[str, int] = {}
        restarted: dict[str, int] = {}
        for row in self._host.inspect():
            name = row.cls
            depths[name] = depths.get(name, 0) + row.mailbox
            restarted[name] = restarted.get(name, 0) + row.restarts
        for name, count in depths.items():
            depth.add_metric([name], count)
            restarts.add_metric([name], restarted[name])
        yield depth
        yield restarts
        yield from self._handlers()
        letters = CounterMetricFamily("jobd_dead_letters", "Messages that nobody took")
        letters.add_metric([], self._host.dead_letters.count)
        yield letters

    def _handlers(self) -> Iterator[Metric]:
        handlers = SummaryMetricFamily(
            "jobd_actor_handler_seconds", "Time in handlers, by actor class", labels=["actor"]
        )
        for name, (messages, seconds) in self._host.handling.by_class().items():
            handlers.add_metric([name], count_value=messages, sum_value=seconds)
        yield handlers


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric([], value)
    return family
