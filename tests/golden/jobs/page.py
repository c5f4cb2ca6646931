"""The generated parts of docs/internals/job-lifecycle.md: state tables, invariants, planted bugs.

`python -m tests.golden.jobs.page` writes them anew; a test asserts that the page has them.
"""

from __future__ import annotations

import re
from pathlib import Path

from actors.core.job.states import ATTEMPT, JOB, TASK, Transition
from tests.sim.jobs.bugs import BUGS, NOT_SEEN
from tests.sim.jobs.invariants import LETTERS
from tests.sim.jobs.test_model import SEEN

__all__ = ["PAGE", "current", "parts"]

PAGE = Path(__file__).parents[3] / "docs" / "internals" / "job-lifecycle.md"


def parts() -> dict[str, str]:
    """The generated parts by their names."""
    return {
        "job": _states(JOB),
        "task": _states(TASK),
        "attempt": _states(ATTEMPT),
        "invariants": _rows(("", "invariant"), LETTERS.items()),
        "bugs": _rows(("bug", "what is left out", "seed", "seen by"), map(_bug, BUGS)),
    }


def current(text: str) -> str:
    """Return the page with its generated parts as they should be."""
    for name, part in parts().items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        text, found = block.subn(lambda m, part=part: m[1] + part + "\n" + m[2], text)  # type: ignore[misc]
        assert found == 1, f"the page has one part {name}"
    return text


def _states(table: tuple[Transition, ...]) -> str:
    """One row per state and cause, in the table's order."""
    targets: dict[tuple[str, str], list[str]] = {}
    for row in table:
        targets.setdefault((row.source, row.cause), []).append(row.target)
    rows = ((source, cause, ", ".join(found)) for (source, cause), found in targets.items())
    return _rows(("from", "cause", "to"), rows)


def _bug(name: str) -> tuple[str, str, str, str]:
    what = BUGS[name].what
    if name in NOT_SEEN:
        return name, what, "-", f"not seen: {NOT_SEEN[name]}"
    seed, letter = SEEN[name]
    return name, what, str(seed), letter


def _rows(heads: tuple[str, ...], rows: object) -> str:
    assert hasattr(rows, "__iter__")
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text()))
