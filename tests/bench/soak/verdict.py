"""What a soak's samples come to: is it flat since minute 10, and did every job end as expected?"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

__all__ = ["judge", "read"]

Sample = dict[str, Any]

_FLAT_PERCENT = 5.0
_SETTLED_S = 600.0
_WINDOW_S = 60.0  # on either side of a time
_MEASURES = ("rss_mib", "pss_mib", "fds", "threads")
_IDLE_RSS_MIB = 100.0
_IDLE_CPU_PERCENT = 1.0
_IDLE_SETTLED_S = 120.0


def read(file: Path) -> list[Sample]:
    """Return the lines of a run, whole or cut short."""
    lines = file.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def judge(lines: list[Sample]) -> tuple[list[str], bool]:
    """Return what there is to say, and whether it is all as it should be."""
    about = lines[0]
    samples = [line for line in lines if line["kind"] == "sample"]
    ends = [line for line in lines if line["kind"] == "end"]
    if not samples:
        return ["no sample was taken"], False
    told, fine = _flatness(samples, _IDLE_SETTLED_S if about["idle"] else _SETTLED_S)
    if about["idle"]:
        more, more_fine = _idle(samples)
    else:
        more, more_fine = _jobs(samples, ends[0] if ends else None)
    lost = [
        f"LOST at {line['at_s']} s: {line['error']}" for line in lines if line["kind"] == "lost"
    ]
    return [*told, *more, *lost], fine and more_fine and not lost


def _flatness(samples: list[Sample], settled_s: float) -> tuple[list[str], bool]:
    """Compare the end with the settled time; what lies half-way tells a plateau from a leak."""
    last_s = samples[-1]["at_s"]
    if last_s < settled_s + _WINDOW_S:
        return [f"too short to compare: {last_s:.0f} s, settled from {settled_s:.0f} s on"], True
    times = (settled_s, (settled_s + last_s) / 2, last_s)
    minutes = " ".join(f"{f'minute {at_s / 60:.0f}':>10}" for at_s in times)
    told, fine = [f"{'':25} {minutes}"], True
    for name in samples[-1]["processes"]:
        for measure in _MEASURES:
            found = [_around(samples, name, measure, at_s) for at_s in times]
            values = [value for value in found if value is not None]
            if len(values) < len(found):
                continue
            percent = 100 * (values[-1] - values[0]) / values[0]
            fine = fine and percent <= _FLAT_PERCENT
            figures = " ".join(f"{value:10.2f}" for value in values)
            grows = "  GROWS" if percent > _FLAT_PERCENT else ""
            told.append(f"{name:16} {measure:8} {figures}  {percent:+6.1f} %{grows}")
    return told, fine


def _around(samples: list[Sample], name: str, measure: str, at_s: float) -> float | None:
    """The median around a time; of descriptors the least, since jobs that run hold some."""
    values: list[float] = [
        sample["processes"][name][measure]
        for sample in samples
        if name in sample["processes"] and abs(sample["at_s"] - at_s) <= _WINDOW_S
    ]
    if not values:
        return None
    return min(values) if measure == "fds" else statistics.median(values)


def _idle(samples: list[Sample]) -> tuple[list[str], bool]:
    settled = [s for s in samples if s["at_s"] >= _IDLE_SETTLED_S] or samples[-1:]
    rss_mib = max(sample["processes"]["node"]["rss_mib"] for sample in settled)
    cpu = statistics.mean(s["processes"]["node"]["cpu_percent"] for s in settled)
    pss_mib = sum(each["pss_mib"] for each in settled[-1]["processes"].values())
    fine = rss_mib <= _IDLE_RSS_MIB and cpu <= _IDLE_CPU_PERCENT
    return [
        f"node: at most {rss_mib:.1f} MiB resident (goal {_IDLE_RSS_MIB:.0f}), "
        f"{cpu:.2f} % of a core (goal {_IDLE_CPU_PERCENT:.0f}); "
        f"all processes {pss_mib:.1f} MiB PSS",
        "as it should be" if fine else "MISSED",
    ], fine


def _jobs(samples: list[Sample], end: Sample | None) -> tuple[list[str], bool]:
    last = end or samples[-1]
    counts, faults = last["counts"], last["faults"]
    told = [f"{name}: {count}" for name, count in sorted(counts.items())]
    told += [f"FAULT {name}: {count}" for name, count in sorted(faults.items())]
    told += last.get("first_faults", [])
    fine = not faults and not counts.get("held back")
    if end is None:
        told.append(f"cut short at {last['at_s']:.0f} s")
    else:
        fine = fine and counts["accepted"] == counts["ended"]
    for name in ("submit_ms", "success_ms"):
        quantiles = [sample[name] for sample in samples if sample[name]]
        if quantiles:
            p50 = statistics.median(q["p50"] for q in quantiles)
            p99 = statistics.median(q["p99"] for q in quantiles)
            told.append(f"{name}: p50 {p50:.1f}, p99 {p99:.1f} (medians of the samples)")
    cpu = statistics.mean(s["processes"]["node"]["cpu_percent"] for s in samples[1:] or samples)
    told.append(f"node: {cpu:.1f} % of a core")
    return told, fine
