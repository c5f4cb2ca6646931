"""Metrics of hooks, event triggers and inbound webhooks, read at the scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors import addresses

__all__ = ["HookMetrics"]

_SENT: Final = ("delivered", "failed")
_TAKEN: Final = ("taken", "replayed", "filtered", "refused")


class HookMetrics(Collector):
    """`actors` has the present actors by address; `taken` counts webhooks by what came of them."""

    def __init__(self, actors: Mapping[str, Any], taken: Counter[str]) -> None:
        self._actors = actors
        self._taken = taken

    def collect(self) -> Iterator[Metric]:
        """Read the counters."""
        hooks = self._actors[addresses.HOOKS]
        yield _by_result(
            "jobd_hook_attempts", "Attempts to deliver a hook, at this node", hooks.outcomes, _SENT
        )
        pending = GaugeMetricFamily("jobd_hook_pending", "Deliveries that are not taken yet")
        pending.add_metric([], hooks.pending)
        yield pending
        yield _by_result(
            "jobd_webhooks_received", "Requests to webhooks, at this node", self._taken, _TAKEN
        )


def _by_result(
    name: str, text: str, counted: Counter[str], words: tuple[str, ...]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=["result"])
    for word in words:
        family.add_metric([word], counted[word])
    return family
