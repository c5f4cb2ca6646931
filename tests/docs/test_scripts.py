"""The scripts say what is missing, run every test there is, and keep the shares that docs name."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

TOOLS = ("basename", "bash", "cat", "dirname", "env", "grep", "sed", "sha256sum")
PYTHON = {
    "too old": '[[ $1 == -V ]] && echo "Python 3.9.2"; [[ $1 == -V ]]',
    "without venv": "[[ $2 != *ensurepip* ]]",
}
TOLD = {
    "absent": ["JobD needs Python 3.11 or later; found: none.", "apt-get install"],
    "too old": ["JobD needs Python 3.11 or later; found: Python 3.9.2.", "apt-get install"],
    "without venv": ["apt-get install python3-venv"],
}


@pytest.mark.parametrize("python", TOLD)
def test_a_machine_that_lacks_something_is_told_the_cure(tmp_path: Path, python: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    if python in PYTHON:
        (tools / "python3").write_text(f"#!{tools}/bash\n{PYTHON[python]}\n", "utf-8")
        (tools / "python3").chmod(0o755)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    done = subprocess.run(
        [tmp_path / "scripts" / "run"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    for line in TOLD[python]:
        assert line in done.stderr
    assert not (tmp_path / ".venv").exists()


def stages() -> dict[str, list[str]]:
    """Return the folders of each stage of scripts/test."""
    text = (ROOT / "scripts" / "test").read_text("utf-8")
    return {name: paths.split() for name, paths in re.findall(r'\[(\w+)\]="([^"]+)"', text)}


def test_every_folder_of_tests_belongs_to_one_stage() -> None:
    with_tests = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}
    staged = [Path(path).name for paths in stages().values() for path in paths]
    assert len(staged) == len(set(staged))
    assert with_tests - {"bench"} <= set(staged), "a folder of tests that no stage runs"


def test_ci_gives_every_stage_the_share_that_docs_name() -> None:
    text = (ROOT / ".ci" / "run").read_text("utf-8")
    listed = re.search(r"^for share in (.+); do$", text, re.MULTILINE)
    assert listed
    shares = {name: int(s) for name, _, s in (each.partition("=") for each in listed[1].split())}
    shares |= {name: int(s) for name, s in re.findall(r"^stage (\w+) (\d+) ", text, re.MULTILINE)}
    page = (ROOT / "docs" / "internals" / "development.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \| ([\d.]+) min \|", page, re.MULTILINE)
    assert shares == {name: int(float(minutes) * 60) for name, minutes in rows}
    assert shares.keys() == stages().keys() | {"install", "static"}
    assert sum(shares.values()) <= 20 * 60
