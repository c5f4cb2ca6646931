"""The examples of the documentation run: each page's marked blocks, in order, in one directory.

A block is marked by `<!-- test -->` on the line before its fence; bash and python run as they
stand, with this environment's commands first on PATH. A block that fails fails its page.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks, pages

INTERPRETERS = {
    "bash": ["bash", "-euo", "pipefail", "-c"],
    "python": [sys.executable, "-W", "error", "-c"],
}
EXAMPLES = {
    str(page.relative_to(ROOT)): found
    for page in pages()
    if (found := list(blocks(page.read_text("utf-8"))))
}


def run(block: Block, directory: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*INTERPRETERS[block.language], block.code],
        cwd=directory,
        env={"PATH": path, "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run(page: str, tmp_path: Path) -> None:
    for block in EXAMPLES[page]:
        done = run(block, tmp_path)
        assert done.returncode == 0, f"{page}:{block.line}\n{done.stdout}{done.stderr}"


def test_marked_blocks_are_found_and_others_are_not() -> None:
    text = "```bash\nno\n```\n\n<!-- test -->\n```python\nprint(1)\n```\n"
    assert list(blocks(text)) == [Block(6, "python", "print(1)\n")]


def test_a_failing_example_is_noticed(tmp_path: Path) -> None:
    assert run(Block(1, "bash", "false | true\n"), tmp_path).returncode == 1
    assert run(Block(1, "python", "assert False\n"), tmp_path).returncode == 1
