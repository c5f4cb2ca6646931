"""Hold the laws of style that no linter knows: `tidy.py [ROOT]` prints each breach.

T1 size        a file over 400 lines (tests: 600) holds two nouns; a function over 60 is two
T2 docstring   every module says what it is; only an empty `__init__.py` of tests need not
T3 exports     a module with public classes or functions has an `__all__`; ruff keeps it sorted
               (RUF022), tests/unit/test_exports.py keeps it true
T4 dead        a module that no product module, script or simulation can load, and that is no entry
               point, is dead; other tests keep nothing alive
T5 promises    a promise in a comment names the issue that holds it: TODO(#12)
T6 changelog   the newest version of CHANGELOG.md is the version of pyproject.toml
T7 places      no path of somebody's machine, no way out of the repository, no registry's host
T8 top level   the top level holds what the architecture names and nothing else
"""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path, PurePosixPath

FILE_LINES = 400
TEST_FILE_LINES = 600
FUNCTION_LINES = 60

PRODUCT = ("actors", "jobd")
TOP_LEVEL = frozenset(
    {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "setup.cfg"}
    | {"actors", "docs", "jobd", "scripts", "tests"}
)
# One letter in brackets keeps each pattern from finding itself here.
PROMISE = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X])\b(?!\(#\d+\))")
PLACES = re.compile(
    r"(?<![\w.>})])/(home|root|Users|wor[k]|opt)/\w+"
    r"|\bwor[k]place\b"
    r"|\b(pyp[i]|npmj[s]|pythonhoste[d])\.(org|com)\b"
)
CLIMB = re.compile(r"(?<![\w/.])(?:\.\./)+(?!\.)")


@dataclass(frozen=True)
class Source:
    """A text file of the repository: its path relative to the root, with slashes, and its text."""

    path: PurePosixPath
    text: str

    @property
    def top(self) -> str:
        """The first part of the path."""
        return self.path.parts[0]

    @property
    def module(self) -> str:
        """The dotted name: `actors/core/due.py` is `actors.core.due`, a package is its folder."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed module. Raises SyntaxError."""
        return ast.parse(self.text, str(self.path))

    def at(self, position: int) -> str:
        """Say where an offset of the text is, as `path:line`."""
        return f"{self.path}:{self.text.count(chr(10), 0, position) + 1}"


def sources(root: Path) -> list[Source]:
    """Return every text file that .gitignore lets through; a lock file is hashes, not text."""
    ignored = [".git", *(root / ".gitignore").read_text("utf-8").replace("/\n", "\n").split()]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not any(fnmatch(name, pat) for pat in ignored)]
        for name in names:
            path = Path(folder, name)
            if path.suffix == ".lock" or any(fnmatch(name, pattern) for pattern in ignored):
                continue
            try:
                text = path.read_text("utf-8")
            except UnicodeDecodeError:
                continue  # a binary golden file
            found.append(Source(PurePosixPath(path.relative_to(root).as_posix()), text))
    return sorted(found, key=lambda source: source.path)


def sizes(source: Source) -> Iterator[str]:
    """T1: yield the file and the functions that are too long."""
    lines = source.text.count("\n")
    bound = TEST_FILE_LINES if source.top == "tests" else FILE_LINES
    if lines > bound:
        yield f"{source.path}: {lines} lines, at most {bound}: which noun wants its own file?"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield (
                    f"{source.path}:{node.lineno}: {node.name} has {length} lines,"
                    f" at most {FUNCTION_LINES}"
                )


def docstring(source: Source) -> Iterator[str]:
    """T2: yield a module without a docstring."""
    if source.top == "tests" and not source.text.strip():
        return
    if ast.get_docstring(source.tree) is None:
        yield f"{source.path}: no module docstring"


def exports(source: Source) -> Iterator[str]:
    """T3: yield a module that does not say what it offers."""
    if source.top not in PRODUCT or source.path.name == "__main__.py":
        return
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    public = [n.name for n in source.tree.body if isinstance(n, kinds) and n.name[0] != "_"]
    if public and not re.search(r"^__all__\b.*=", source.text, re.MULTILINE):
        yield f"{source.path}: no __all__, but public {', '.join(public)}"


def imported(source: Source) -> Iterator[str]:
    """Yield the dotted names that a module may load, by import or by name in a string."""
    is_package = source.path.name == "__init__.py"
    package = source.module if is_package else source.module.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = ".".join(parts[: len(parts) - node.level + 1])
                base = f"{above}.{base}" if base else above
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]  # importlib, `python -m`, an entry point


def dead(modules: list[Source], pyproject: str) -> Iterator[str]:
    """T4: yield product modules that nothing but tests can load."""
    loaded = set(re.findall(r'"([\w.]+):\w+"', pyproject))
    for source in modules:
        if source.top != "tests" or source.path.parts[1] == "sim":
            loaded.update(name for name in imported(source) if name != source.module)
    entries = {"__init__.py", "__main__.py"}
    for source in modules:
        if source.top not in PRODUCT or source.path.name in entries:
            continue
        if source.module not in loaded:
            yield f"{source.path}: no product module imports it"


def promises(source: Source) -> Iterator[str]:
    """T5: yield promises that no issue holds."""
    for found in PROMISE.finditer(source.text):
        yield f"{source.at(found.start())}: {found[1]} without an issue: write {found[1]}(#N)"


def places(source: Source) -> Iterator[str]:
    """T7: yield what is true on one machine only."""
    for found in PLACES.finditer(source.text):
        yield f"{source.at(found.start())}: {found[0]} belongs to a machine, not to the project"
    depth = len(source.path.parts) - 1
    for found in CLIMB.finditer(source.text):
        if found[0].count("../") > depth:
            yield f"{source.at(found.start())}: {found[0]} leaves the repository"


def changelog(texts: dict[str, str]) -> Iterator[str]:
    """T6: yield a difference between the changelog's newest version and the package's."""
    version = tomllib.loads(texts["pyproject.toml"])["project"]["version"]
    found = re.search(r"^## \[?(\d+\.\d+\.\d+)", texts.get("CHANGELOG.md", ""), re.MULTILINE)
    newest = found[1] if found else "none"
    if newest != version:
        yield f"CHANGELOG.md: newest version {newest}, pyproject.toml says {version}"


def top_level(files: Iterable[Source]) -> Iterator[str]:
    """T8: yield what stands at the top level and should not."""
    for top in sorted({source.top for source in files}):
        if top not in TOP_LEVEL and not top.startswith("."):
            yield f"{top}: the top level is fixed by the architecture"


def breaches(root: Path) -> list[str]:
    """Return every breach under a root, ordered by rule. Raises SyntaxError."""
    files = sources(root)
    texts = {str(source.path): source.text for source in files}
    modules = [source for source in files if source.path.suffix == ".py"]
    rules = (sizes, docstring, exports)
    found = [line for rule in rules for module in modules for line in rule(module)]
    found += dead(modules, texts["pyproject.toml"])
    found += [line for rule in (promises, places) for each in files for line in rule(each)]
    return [*found, *changelog(texts), *top_level(files)]


def main() -> int:
    """Print the breaches of the root given, or of this repository."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    found = breaches(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
