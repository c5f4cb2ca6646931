"""Real nodes of which one that fires schedules is killed: no fire is lost, none is doubled."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cluster.cluster import ClusterNode, running
from tests.integration.node_process import until

_NAMES = tuple(f"s{number}" for number in range(4))


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _fired(node: ClusterNode) -> dict[str, list[int]]:
    """The nominal second of each fire that was told, by schedule."""
    found: dict[str, list[int]] = {name: [] for name in _NAMES}
    after = ""
    while True:
        query = f"types=jobd:schedule:*&limit=500{after}"
        page: dict[str, Any] = node.call("GET", f"/events?{query}")
        for event in page["items"]:
            assert event["type"] == "jobd:schedule:fired", event
            data = event["data"]
            found[data["schedule"]].append(_seconds(data["nominal"]))
        if page["next_cursor"] is None:
            return found
        after = f"&cursor={page['next_cursor']}"


def test_a_node_of_three_is_killed_while_schedules_fire(tmp_path: Path) -> None:
    with running([tmp_path / f"n{number}" for number in (1, 2, 3)]) as cluster:
        first, second, third = cluster.nodes
        for name in _NAMES:
            spec = {
                "name": name,
                "type": "command",
                "cmd": "true",
                "trigger": {"cron": "* * * * * *", "overlap": "allow"},
            }
            first.call("PUT", f"/schedules/{name}", spec)
        until(lambda: all(len(fires) > 1 for fires in _fired(first).values()))
        time.sleep(1 - time.time() % 1)  # in the second of a fire
        third.kill()
        killed_s = time.time()
        time.sleep(3)
        third.launch()
        cluster.await_ready()
        for name in _NAMES:
            second.call("POST", f"/schedules/{name}/pause")
        fired = _fired(second)
        for name in _NAMES:
            counted = Counter(fired[name])
            assert set(counted.values()) == {1}, f"{name} fired twice for one time"
            assert sorted(counted) == list(range(min(counted), max(counted) + 1)), f"{name}: a gap"
            assert max(counted) > killed_s, f"{name} stood still"
        jobs = sum(
            node.metrics()["jobd_schedule_lateness_seconds_count"] for node in (first, second)
        )
        assert jobs > 0
        assert first.metrics()["jobd_reconcile_repairs_total"] == 0
