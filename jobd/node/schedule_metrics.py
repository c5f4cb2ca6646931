"""How late schedules fire, and what they miss, for Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from actors.model.event import Event

__all__ = ["ScheduleMetrics"]

_LATENESS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_REASONS: Final = (
    "catchup",
    "catchup_last",
    "catchup_max_runs",
    "catchup_none",
    "catchup_window",
    "cause_depth",
    "duplicate",
    "input",
    "inputs",
    "no_template",
    "paused",
    "pipeline",
    "starting_deadline",
)


class ScheduleMetrics:
    """Lateness is of the fires that this node decided; what is missed is the cluster's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lateness = Histogram(
            "jobd_schedule_lateness_seconds",
            "From when a fire was due to when its job was durable, without what was made up for",
            buckets=_LATENESS_S,
            registry=registry,
        )
        self._missed = Counter(
            "jobd_schedule_missed",
            "Fires that did not happen, by reason",
            ["reason"],
            registry=registry,
        )
        for reason in _REASONS:  # each begins at 0, so that the first one shows in a rate
            self._missed.labels(reason)

    def observe_lateness(self, seconds: float) -> None:
        """Count one fire."""
        self._lateness.observe(seconds)

    def observe_event(self, event: Event) -> None:
        """Count the fires that an event says were missed; many that nobody counted are one."""
        if event.type == "jobd:schedule:missed":
            self._missed.labels(event.data["reason"]).inc(max(1, event.data["count"]))
