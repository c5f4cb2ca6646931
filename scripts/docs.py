"""Write the reference pages that are generated from code; `--check` only compares.

One source per page: `limits.md` from the constants of actors/limits.py and the comments behind
them, `errors.md` from the classes of actors/errors.py. A page that differs from its source is a
breach (`scripts/check`, tests/docs/test_reference.py), mended by `scripts/docs`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from actors import errors, limits

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
NOTICE = "<!-- Generated from {source} by scripts/docs: change it there. -->\n\n"

GROUP = re.compile(r"# -- (?P<title>.+)")
LIMIT = re.compile(r"(?P<name>[A-Z][A-Z0-9_]+): Final(\[\w+\])? = .+?  # (?P<behaviour>.+)")
UNITS = {"BYTES": "bytes", "MS": "ms", "S": "s"}


class Limit(NamedTuple):
    """One bound: its group, its name, its value with unit, and what happens at it."""

    group: str
    name: str
    value: str
    behaviour: str


def quantity(name: str, value: int) -> str:
    """Say a value in the unit that ends its name; bytes in the largest unit that divides them."""
    unit = UNITS.get(name.rpartition("_")[2], "")
    if unit == "bytes":
        for factor, larger in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
            if value % factor == 0:
                return f"{value // factor:,} {larger}"
    if unit == "s" and value % 3600 == 0:
        return f"{value // 3600:,} h"
    return f"{value:,} {unit}".rstrip()


def read_limits(source: str) -> Iterator[Limit]:
    """Yield the limits of a source text. Raises ValueError at one without its behaviour."""
    group = ""
    for line in source.splitlines():
        if found := GROUP.fullmatch(line):
            group = found["title"]
        elif found := LIMIT.fullmatch(line):
            name = found["name"]
            yield Limit(group, name, quantity(name, getattr(limits, name)), found["behaviour"])
        elif re.match(r"[A-Z][A-Z0-9_]+\b.*=", line):
            raise ValueError(f"a limit without the comment that says what happens at it: {line}")


def limits_page() -> str:
    """Return docs/reference/limits.md."""
    page = NOTICE.format(source="actors/limits.py") + "# Limits\n\n"
    page += "Every queue, message and payload has a bound and a stated behaviour at it.\n"
    group = None
    for limit in read_limits((ROOT / "actors" / "limits.py").read_text("utf-8")):
        if limit.group != group:
            group = limit.group
            page += f"\n## {group[0].upper()}{group[1:]}\n\n"
            page += "| limit | value | at it |\n|---|---|---|\n"
        page += f"| `{limit.name}` | {limit.value} | {limit.behaviour} |\n"
    return page


def subclasses(error: type[errors.JobdError]) -> Iterator[type[errors.JobdError]]:
    """Yield a class and all below it that actors/errors.py defines, depth first, as written."""
    yield error
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from subclasses(child)


def errors_page() -> str:
    """Return docs/reference/errors.md."""
    page = NOTICE.format(source="actors/errors.py") + "# Errors\n\n"
    page += (
        "Each error that JobD raises on purpose has a stable `code`, which the HTTP facade and\n"
        "`jobctl` map to a status and an exit code, and says whether the same call may succeed\n"
        "later. They form one tree:\n\n```text\n"
    )
    tree = re.findall(r"^    (\S.*|[│ ]*[├└].*)$", errors.__doc__ or "", re.MULTILINE)
    page += "\n".join(tree) + "\n```\n\n| error | code | retryable | means |\n|---|---|---|---|\n"
    for error in subclasses(errors.JobdError):
        means = (error.__doc__ or "").splitlines()[0].replace("|", "\\|")
        retryable = "yes" if error.retryable else "no"
        page += f"| `{error.__name__}` | `{error.code}` | {retryable} | {means} |\n"
    return page


PAGES = {"limits.md": limits_page, "errors.md": errors_page}


def main() -> int:
    """Write or, with `--check`, compare every page."""
    checking = sys.argv[1:] == ["--check"]
    stale = []
    for name, render in PAGES.items():
        path, page = REFERENCE / name, render()
        if path.is_file() and path.read_text("utf-8") == page:
            continue
        stale.append(path.relative_to(ROOT))
        if not checking:
            path.write_text(page, "utf-8")
    for stale_path in stale:
        print(f"{stale_path}: {'differs from its source: scripts/docs' if checking else 'written'}")
    return 1 if stale and checking else 0


if __name__ == "__main__":
    sys.exit(main())
