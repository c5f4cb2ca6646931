"""Files of specs: what `-f FILE|DIR|-` stands for, document by document.

A file has one JSON value, or YAML documents divided by `---`. Each document keeps the line numbers
of its file: lines before it are left empty, so whoever reads it, here or at the node, tells places
as an editor does.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from actors.errors import InvalidSpec, TooLarge
from jobd.cli.failure import INVALID_SPEC, USAGE, Failure
from jobd.cli.job_spec import read_argument
from jobd.cli.output import note, note_problems

__all__ = [
    "Document",
    "check",
    "file_option",
    "is_valid",
    "kind_of",
    "read_documents",
    "values_of",
]

SUFFIXES: Final = (".json", ".yaml", ".yml")
_DIVIDER: Final = re.compile(rb"---(?=\s|$)")
_JSON: Final = re.compile(rb'\s*(\{\s*["}]|\[)')

file_option: Final = click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    metavar="FILE|DIR|-",
    type=click.Path(allow_dash=True),
    help="Specs: a file, the files of a directory, or stdin.",
)


class Document(NamedTuple):
    """One spec of a file, and the line that it begins in."""

    file: str
    line: int
    text: bytes

    @property
    def place(self) -> str:
        """The file, and the line where it is not the first."""
        return self.file if self.line == 1 else f"{self.file}:{self.line}"


def read_documents(files: Iterable[str]) -> list[Document]:
    """Return the documents of files and directories in their order; empty ones are none.

    Raises Failure for a file that can't be read, and when there is nothing at all.
    """
    found = [
        document
        for name in files
        for file in _files(name)
        for document in _divide(file, read_argument(f"@{file}"))
    ]
    if not found:
        raise Failure(f"no spec is in {', '.join(files)}", exit_code=USAGE)
    return found


def values_of(document: Document) -> Any:
    """Return what a valid document says, as plain values: no comments, no layout."""
    from actors.core.spec.document import read_document
    from actors.core.spec.form import AS_WRITTEN

    return read_document(document.text, document.file, AS_WRITTEN).value


def kind_of(document: Document) -> str:
    """Return what a document is: a `pipeline` has jobs, a `hook` on; any other is a `job`."""
    try:
        values = values_of(document)
    except (InvalidSpec, TooLarge):
        return "job"  # whoever reads it says where it makes no sense
    if not isinstance(values, dict):
        return "job"
    return "pipeline" if "jobs" in values else "hook" if "on" in values else "job"


def is_valid(document: Document) -> bool:
    """Say whether a document is a spec; if not, everything that is wrong is told."""
    now_ms = time.time_ns() // 1_000_000
    try:
        kind = kind_of(document)
        if kind == "hook":
            from actors.core.spec.hook import parse_hook

            parse_hook(document.text, now_ms=now_ms)
        elif kind == "pipeline":
            from actors.core.pipeline_spec import parse_pipeline

            read = parse_pipeline(document.text, now_ms=now_ms, filename=document.file)
            note_problems(document.file, [warning._asdict() for warning in read.warnings])
        else:
            from actors.core.spec import parse_job

            parse_job(document.text, now_ms=now_ms, filename=document.file)
    except InvalidSpec as e:
        note_problems(document.file, [problem._asdict() for problem in e.problems])
    except TooLarge as e:
        note(f"{document.place}: {e.message}")
    else:
        return True
    return False


def check(documents: Iterable[Document]) -> None:
    """Raise Failure unless all documents are valid, with everything that is wrong told."""
    wrong = sum(not is_valid(document) for document in documents)
    if wrong:
        raise Failure(
            f"{wrong} spec{'s are' if wrong > 1 else ' is'} wrong",
            remedy="`docs/reference/job-spec.md` lists every key.",
            exit_code=INVALID_SPEC,
        )


def _files(name: str) -> Iterator[str]:
    path = Path(name)
    if name == "-" or not path.is_dir():
        yield name
        return
    yield from (str(file) for file in sorted(path.iterdir()) if file.suffix in SUFFIXES)


def _divide(file: str, text: bytes) -> Iterator[Document]:
    if file.endswith(".json") or _JSON.match(text):
        yield Document(file, 1, text)
        return
    lines = text.splitlines(keepends=True)
    starts = [0, *(i for i, line in enumerate(lines) if _DIVIDER.match(line)), len(lines)]
    for start, end in itertools.pairwise(starts):
        part = [b"   " + line[3:] if _DIVIDER.match(line) else line for line in lines[start:end]]
        first = next((i for i, line in enumerate(part) if _says(line)), None)
        if first is not None:
            yield Document(file, start + first + 1, b"\n" * start + b"".join(part))


def _says(line: bytes) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(b"#")
