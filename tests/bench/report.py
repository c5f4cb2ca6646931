"""Results of a benchmark: a table on stdout, JSON in `bench-results/`."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Report", "filesystem_of", "percentile"]

_ROOT = Path(__file__).parents[2]


def percentile(values: Sequence[float], q: int) -> float:
    """Return the q-th percentile, q in 1..99."""
    return statistics.quantiles(values, n=100, method="inclusive")[q - 1]


def filesystem_of(path: Path) -> str:
    """Return the type of the file system that a path is on."""
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(path)]
    return subprocess.check_output(command, text=True).strip()


class Report:
    """Rows of (what, value, unit, goal), said as they come."""

    def __init__(self, name: str, disk: Path) -> None:
        self._name = name
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=_ROOT, capture_output=True, text=True
        )
        self._about = {
            "date": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "commit": commit.stdout.strip(),
            "cores": len(os.sched_getaffinity(0)),
            "disk": filesystem_of(disk),
            "python": platform.python_version(),
            "load_before": os.getloadavg()[0],
        }
        self._rows: list[dict[str, Any]] = []
        print(", ".join(f"{key} {value}" for key, value in self._about.items()))

    def add(
        self,
        what: str,
        value: float,
        unit: str = "",
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        **detail: Any,
    ) -> None:
        """Add a figure; with a goal, say whether it is reached."""
        row: dict[str, Any] = {"what": what, "value": value, "unit": unit}
        told = ""
        if at_most is not None:
            row["goal"], row["reached"] = f"<= {at_most:,.4g}", value <= at_most
        if at_least is not None:
            row["goal"], row["reached"] = f">= {at_least:,.4g}", value >= at_least
        if "goal" in row:
            told = f"goal {row['goal']}: {'reached' if row['reached'] else 'MISSED'}"
        self._rows.append({**row, **detail})
        print(f"{what:52} {value:12,.2f} {unit:8} {told}".rstrip(), flush=True)

    def keep(self) -> Path:
        """Write what was found to `bench-results/` and return the file."""
        directory = _ROOT / "bench-results"
        directory.mkdir(exist_ok=True)
        path = directory / f"{self._name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
        self._about["load_after"] = os.getloadavg()[0]
        path.write_text(json.dumps({**self._about, "rows": self._rows}, indent=2) + "\n")
        print(f"kept in {path.relative_to(_ROOT)}")
        return path
