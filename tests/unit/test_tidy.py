"""The repository is tidy, and each rule of scripts/tidy.py catches its own breach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CLEAN = {
    ".gitignore": ".venv/\n*.egg-info/\n.coverage\n",
    ".venv/lib/x.py": "x = 1\n",
    "it.egg-info/PKG-INFO": "x\n",
    ".coverage": "/hom" + "e/ann\n",
    "pyproject.toml": '[project]\nversion = "1.2.3"\nscripts = { it = "jobd.door:main" }\n',
    "CHANGELOG.md": "# Changelog\n\n## 1.2.3\n\nTODO(#7) is held by an issue.\n",
    "actors/__init__.py": '"""Actors."""\n',
    "actors/due.py": '"""Due."""\n\n__all__ = ["due"]\n\n\ndef due() -> None:\n    """Be."""\n',
    "jobd/__init__.py": '"""Doors."""\n',
    "jobd/door.py": '"""A door."""\n\nfrom actors import due\n\nprint(due)\n',
    "docs/start/page.md": "[up](../README.md) and [to the top](../../README.md)\n",
    "tests/__init__.py": "",
}

BREACHES = {
    "T1 a long file": ("actors/due.py", '"""Due."""\n' + "x = 1\n" * 400, "401 lines"),
    "T1 a long test": ("tests/test_x.py", '"""X."""\n' + "x = 1\n" * 600, "601 lines"),
    "T1 a long function": (
        "actors/due.py",
        '"""Due."""\n__all__ = ["f"]\n\n\ndef f() -> None:\n' + "    print()\n" * 60,
        "f has 61 lines",
    ),
    "T2 no docstring": ("actors/due.py", "x = 1\n", "no module docstring"),
    "T2 a test without": ("tests/test_x.py", "x = 1\n", "no module docstring"),
    "T3 no exports": (
        "actors/due.py",
        '"""Due."""\n\n\ndef due() -> None:\n    """Be."""\n',
        "no __all__, but public due",
    ),
    "T4 a dead module": ("actors/lost.py", '"""Lost."""\n', "no product module imports it"),
    "T4 imports itself": (
        "actors/lost.py",
        '"""Lost."""\nimport actors.lost\n',
        "no product module imports it",
    ),
    "T5 a promise": ("actors/due.py", '"""Due."""\n# TOD' + "O: later\n", "without an issue"),
    "T6 the changelog lags": ("CHANGELOG.md", "## 1.2.2\n", "newest version 1.2.2"),
    "T6 no version": ("CHANGELOG.md", "# Changelog\n", "newest version none"),
    "T7 a home": ("docs/start/page.md", "see /hom" + "e/ann/notes\n", "belongs to a machine"),
    "T7 a registry": ("docs/start/page.md", "from pyp" + "i.org\n", "belongs to a machine"),
    "T7 out of it": ("docs/start/page.md", "../" * 3 + "notes.md\n", "leaves the repository"),
    "T8 a new folder": ("utils/x.md", "x\n", "utils: the top level is fixed"),
}


def tidy(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "tidy.py"), str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def test_the_repository_is_tidy() -> None:
    done = tidy(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_clean_tree_has_no_breach(tmp_path: Path) -> None:
    plant(tmp_path, CLEAN)
    done = tidy(tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_caught(tmp_path: Path, breach: str) -> None:
    name, text, told = BREACHES[breach]
    plant(tmp_path, CLEAN | {name: text})
    done = tidy(tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("\n") == 1, done.stdout
    assert told in done.stdout
