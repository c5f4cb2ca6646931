"""Metrics of the cluster as this node sees it, read at the scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobd.api.cluster_views import ClusterView

__all__ = ["ClusterMetrics"]


class ClusterMetrics(Collector):
    """How consensus does here, and how far this node reaches; labels are ids of members."""

    def __init__(self, view: Callable[[], ClusterView]) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """Look at the cluster."""
        cluster = self._view()
        own, members = cluster.consensus, cluster.members
        for name, text, value in (
            ("jobd_cluster_nodes", "Nodes that are heard, this one too", _alive(cluster)),
            ("jobd_cluster_voters", "Voters of the present epoch", cluster.quorums.voters),
            ("jobd_cluster_epoch", "The present epoch", cluster.epoch),
            ("jobd_cluster_leader", "1 where recovery is led", int(cluster.leader == cluster.node)),
            (
                "jobd_cluster_isolated_seconds",
                "For how long no majority of the voters was heard",
                cluster.isolated_ms / 1000,
            ),
            ("jobd_consensus_executed", "Commands executed, over all epochs", own.executed),
            ("jobd_consensus_stable_lag", "Commands known and not executed", own.stable_lag),
            (
                "jobd_consensus_unstable_seconds",
                "Age of the oldest command that is not executed",
                own.unstable_ms / 1000,
            ),
        ):
            family = GaugeMetricFamily(name, text)
            family.add_metric([], value)
            yield family
        for name, text, value in (
            ("jobd_consensus_fast", "Commands decided on the fast path", own.fast),
            ("jobd_consensus_slow", "Commands decided on the slow path", own.slow),
            ("jobd_consensus_recovery", "Commands recovered for others", own.recovered),
        ):
            counter = CounterMetricFamily(name, text)
            counter.add_metric([], value)
            yield counter
        lag = GaugeMetricFamily(
            "jobd_cluster_lag", "Commands behind the most advanced node", labels=["node"]
        )
        heard = GaugeMetricFamily(
            "jobd_cluster_heard_seconds", "Since a member was heard last", labels=["node"]
        )
        for member in members:
            lag.add_metric([member.id], member.lag)
            if member.heard_ms is not None:
                heard.add_metric([member.id], member.heard_ms / 1000)
        yield lag
        yield heard


def _alive(cluster: ClusterView) -> int:
    return sum(member.alive for member in cluster.members)
