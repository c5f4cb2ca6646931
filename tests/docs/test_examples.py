"""The examples of the documentation run: each page's marked blocks, in order, in one directory.

A block is marked by `<!-- test -->` on the line before its fence; bash, python and console
sessions run as they stand, with this environment's commands first on PATH. A page that needs a
node finds one as its reader does, in `./jobd-data`: all pages share it. A block that fails, or
prints something else than its page says, fails its page.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks, pages
from tests.docs.session import agrees, commands, environment, run, sessions
from tests.integration.node_process import NodeProcess

EXAMPLES = {
    str(page.relative_to(ROOT)): found
    for page in pages()
    if (found := list(blocks(page.read_text("utf-8"))))
}


@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run(page: str, node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "jobd-data").symlink_to(node.data)
    for name in ("LICENSE", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    for block in sessions(EXAMPLES[page]):
        wrong = run(block, tmp_path, environment(tmp_path))
        assert not wrong, f"{page}:{block.line}\n{wrong}"


def test_marked_blocks_are_found_and_others_are_not() -> None:
    text = "```bash\nno\n```\n\n<!-- test -->\n```python\nprint(1)\n```\n"
    assert list(blocks(text)) == [Block(6, "python", "print(1)\n")]


def test_console_blocks_that_follow_one_another_are_one_session() -> None:
    code = [("console", "a"), ("console", "b"), ("bash", "c"), ("bash", "d"), ("console", "e")]
    page = [Block(line, language, text) for line, (language, text) in enumerate(code)]
    assert [b.code for b in sessions(page)] == ["ab", "c", "d", "e"]


def test_the_python_of_a_page_is_one_program() -> None:
    code = [("python", "a"), ("console", "b"), ("console", "c"), ("python", "d")]
    page = [Block(line, language, text) for line, (language, text) in enumerate(code)]
    assert [b.code for b in sessions(page)] == ["a\nd", "bc"]


def test_a_session_is_read_as_commands_and_what_they_print() -> None:
    found = list(commands("$ cat <<.\n> a\n>\n> .\na\n\n$ true\n$ echo b\nb\n"))
    assert found == [("cat <<.\na\n\n.", "a\n"), ("true", ""), ("echo b", "b")]


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("bash", "false | true\n"),
        ("python", "assert False\n"),
        ("console", "$ echo a\nb\n"),
        ("console", "$ echo a\n"),
        ("console", "$ true\na\n"),
        ("console", "$ exit\n$ echo a\na\n"),
        ("console", "$ (exit 3)\n$ echo $?\n4\n"),
    ],
)
def test_a_failing_example_is_noticed(tmp_path: Path, language: str, code: str) -> None:
    assert run(Block(1, language, code), tmp_path, environment(tmp_path))


def test_a_session_that_prints_what_it_says_passes(tmp_path: Path) -> None:
    code = "$ x=1\n$ (exit 3)\n$ echo $? $x >&2; sleep 60 & echo $!\n3 1\n…\n$ kill $!\n"
    assert run(Block(1, "console", code), tmp_path, environment(tmp_path)) == ""


def test_what_varies_may_differ_and_nothing_else() -> None:
    said = "01m856jf2pnh99n0c0a469vx3e  flaky  3s\nuntil 2026-11-23T22:08:10Z …\n"
    assert agrees(said, "01m856jta39426j4t7sy1par4d flaky 12s\nuntil 2027-01-01T00:00:00Z x\ny\n")
    assert not agrees(said, "01m856jta39426j4t7sy1par4d other 12s\nuntil 2027-01-01T00:00:00Z x\n")
