"""Write the pages that are generated; `--check` only compares.

One source per page: `reference/limits.md` from actors/limits.py and the comments behind its
constants, `reference/errors.md` from the classes of actors/errors.py, the pages of the doors by
docs_doors.py and docs_client.py, that of the history's tables by docs_history.py, and the index
`README.md` from the titles and first sentences of all other pages. A page that differs from its
source is a breach (`scripts/check`, tests/docs/test_reference.py), mended by `scripts/docs`.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from actors import errors, limits

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))  # also when a test loads this file by its path

from docs_client import client_page  # noqa: E402
from docs_doors import http_page, jobctl_page, openapi_page  # noqa: E402
from docs_history import history_page  # noqa: E402

DOCS = ROOT / "docs"
NOTICE = "<!-- Generated from {source} by scripts/docs: change it there. -->\n\n"

GROUP = "# -- "  # opens a group of limits
SECTIONS = {
    "start": "From nothing to a first job.",
    "guides": "How to do one thing.",
    "reference": "What there is, complete and dry.",
    "operations": "Running JobD for others.",
    "internals": "How it works, for those who change it.",
    "decisions": "What was chosen, and why.",
}
READ_FIRST = ("install", "first-node", "first-job", "architecture")  # the others by name
UNITS = {"BYTES": "bytes", "MS": "ms", "PERCENT": "%", "S": "s"}


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
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.AnnAssign):
            continue
        name = ast.unparse(node.target)
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        behaviour = " ".join(comments[line].lstrip("# ") for line in lines if line in comments)
        if not behaviour:
            raise ValueError(f"{name}: a comment behind a limit says what happens at it")
        groups = [
            text for line, text in comments.items() if text.startswith(GROUP) and line < lines[0]
        ]
        group = groups[-1].removeprefix(GROUP) if groups else ""
        yield Limit(group, name, quantity(name, getattr(limits, name)), behaviour)


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


def summary(page: Path) -> str:
    """Return a page's line of the index: its title, linked, and its first sentence."""
    text = page.read_text("utf-8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    if title is None:
        raise ValueError(f"{page}: a page opens with its title")
    first = re.search(r"^[A-Za-z*`\[][^\n]*(\n[^\n]+)*", text[title.end() :], re.MULTILINE)
    prose = " ".join(first[0].split()) if first else ""
    sentence = re.split(r"(?<=[.:]) (?=[A-Z])", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", prose))[0]
    return f"- [{title[1]}]({page.relative_to(DOCS).as_posix()})" + f": {sentence}" * bool(sentence)


def place(page: Path) -> tuple[int, str]:
    """Return where a page stands in its section."""
    first = page.stem in READ_FIRST
    return READ_FIRST.index(page.stem) if first else len(READ_FIRST), page.name


def index_page() -> str:
    """Return docs/README.md."""
    text = NOTICE.format(source="the pages themselves") + "# Documentation of JobD\n"
    for section, about in SECTIONS.items():
        pages = sorted((DOCS / section).glob("*.md"), key=place)
        if pages:
            lines = "\n".join(summary(page) for page in pages)
            text += f"\n## {section.capitalize()}\n\n{about}\n\n{lines}\n"
    return text


# In this order: the index quotes the others.
PAGES = {
    "reference/limits.md": limits_page,
    "reference/errors.md": errors_page,
    "reference/client.md": lambda: NOTICE.format(source="jobd/client") + client_page(),
    "reference/http.md": lambda: NOTICE.format(source="jobd/api") + http_page(),
    "reference/jobctl.md": lambda: NOTICE.format(source="jobd/cli") + jobctl_page(),
    "reference/history.md": lambda: (
        NOTICE.format(source="actors/backends/history/schema.py") + history_page()
    ),
    "README.md": index_page,
    "../tests/golden/http/openapi.json": openapi_page,
}


def main() -> int:
    """Write or, with `--check`, compare every page."""
    checking = sys.argv[1:] == ["--check"]
    stale = []
    for name, render in PAGES.items():
        path, page = (DOCS / name).resolve(), render()
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
