"""The dashboard asks for metrics that a live node serves; what the contract names is served."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest

from tests.docs.pages import ROOT
from tests.integration.node_process import NodeProcess

DASHBOARD = json.loads((ROOT / "docs" / "operations" / "grafana" / "jobd.json").read_text("utf-8"))
NAME = re.compile(r"\b((?:jobd|process)_\w+)\b")
# The metrics that users were promised, those whose subject exists.
PROMISED = {
    "jobd_actor_handler_seconds_count",
    "jobd_actor_mailbox_depth",
    "jobd_actor_restarts_total",
    "jobd_cluster_nodes",
    "jobd_consensus_fast_total",
    "jobd_consensus_recovery_total",
    "jobd_consensus_slow_total",
    "jobd_consensus_stable_lag",
    "jobd_dead_letters_total",
    "jobd_job_duration_milliseconds_bucket",
    "jobd_jobs_completed_total",
    "jobd_jobs_failed_total",
    "jobd_jobs_running",
    "jobd_jobs_scheduled_total",
    "jobd_queue_depth",
    "jobd_store_fsync_seconds_bucket",
}


def expressions() -> list[str]:
    """Return every query of the dashboard."""
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    variables = [each["query"] for each in DASHBOARD["templating"]["list"]]
    return [*queries, *(query["query"] for query in variables if isinstance(query, dict))]


@pytest.fixture(scope="module")
def served(node: NodeProcess) -> set[str]:
    """Every sample that a node serves on which a job of each kind of end has run."""
    for shell in ("true", "false"):
        node.ended(node.submit(shell=shell))
    address = json.loads((node.data / "run" / "node.json").read_text())["metrics"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return set(re.findall(r"^(\w+)(?:\{[^}]*\})? ", text, re.MULTILINE))


def test_every_metric_of_the_dashboard_is_served(served: set[str]) -> None:
    asked = {name for query in expressions() for name in NAME.findall(query)}
    assert len(asked) > 20
    assert asked <= served, asked - served


def test_every_metric_that_was_promised_is_served(served: set[str]) -> None:
    assert served >= PROMISED, PROMISED - served


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        rows, columns = range(at["y"], at["y"] + at["h"]), range(at["x"], at["x"] + at["w"])
        cells = {(x, y) for y in rows for x in columns}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
