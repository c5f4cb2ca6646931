"""Bad specs and, word for word, what a user is told of each.

`JOBD_GOLDEN=rewrite` writes the answers anew; commit them only if you understand what changed them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.core.spec import parse_job
from actors.errors import InvalidSpec

CASES = Path(__file__).parent / "cases"
NOW_MS = 1_800_000_000_000


def answer(case: Path) -> str:
    with pytest.raises(InvalidSpec) as caught:
        parse_job(case.read_bytes(), now_ms=NOW_MS, filename=case.name)
    return "".join(
        f"{case.name}:{p.line}:{p.column}: {p.path}: {p.message}\n" for p in caught.value.problems
    )


@pytest.mark.parametrize(
    "case", sorted(path for path in CASES.iterdir() if path.suffix != ".txt"), ids=lambda p: p.name
)
def test_bad_spec(case: Path) -> None:
    golden = case.with_name(case.name + ".txt")
    found = answer(case)
    if os.environ.get("JOBD_GOLDEN") == "rewrite":
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_answer_has_its_case() -> None:
    assert all(path.with_suffix("").exists() for path in CASES.glob("*.txt"))
