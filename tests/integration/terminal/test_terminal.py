"""What jobctl shows somebody who sits before it: pages, watches, progress, colours, Ctrl-C."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.node_process import NodeProcess, until
from tests.integration.terminal.conftest import Terminal
from tests.parts import need

GREEN, RED = "\x1b[32m", "\x1b[31m"


def test_top_lives_fits_the_window_and_leaves_at_q(terminal: Terminal, node: NodeProcess) -> None:
    failed = node.submit(name="broken", cmd="false")
    node.ended(failed)
    terminal.type("jobctl top")
    page = terminal.until("0 of 2 in use")
    assert page.startswith("vm  JobD ")
    assert "0 pending   0 waiting   0 scheduled" in page
    assert failed in page
    long = node.submit(name="long", shell="sleep 60")
    wide = node.submit(name="wide", shell="sleep 60", tasks=3)
    page = terminal.until("2 of 2 in use")
    terminal.until("0 of 3")
    assert long in page
    terminal.resize(60, 13)
    page = terminal.until(lambda screen: "and 1 more" in screen)
    assert max(map(len, page.splitlines())) <= 60
    assert wide in page
    for job in (long, wide):
        node.call("POST", f"/jobs/{job}/cancel")
    terminal.until("0 of 2 in use")
    terminal.press("q")
    assert "in use" not in terminal.until(lambda screen: screen.count("$") == 2)
    terminal.type("echo left with $?")
    terminal.until("left with 0")


def test_top_without_a_terminal_is_one_snapshot(terminal: Terminal) -> None:
    terminal.type("jobctl top | cat")
    page = terminal.until(lambda screen: screen.count("$") == 2)
    assert "0 of 2 in use" in page
    assert "leaves" not in page


def test_watched_list_is_redrawn_and_left_behind(terminal: Terminal, node: NodeProcess) -> None:
    terminal.type("jobctl job list --watch --name redrawn")
    terminal.until(lambda screen: screen.startswith("ID "))
    job = node.submit(name="redrawn", shell="sleep 60")
    terminal.until("running")
    node.call("POST", f"/jobs/{job}/cancel")
    page = terminal.until("cancelled")
    assert len(page.strip().splitlines()) == 2
    terminal.resize(40, 10)
    page = terminal.until(lambda screen: screen.count("…") == 2)
    assert len(page.strip().splitlines()) == 2
    terminal.resize(100, 24)
    terminal.until("cancelled")
    terminal.press("C-c")
    left = terminal.until(lambda screen: screen.count("$") == 2)
    assert "cancelled" in left
    assert "Traceback" not in left


def test_watched_job_ends_with_the_job(terminal: Terminal, node: NodeProcess) -> None:
    job = node.submit(name="watched", shell="sleep 60")
    terminal.type(f"jobctl job get --watch {job[:20]}")
    terminal.until(lambda screen: "running" in screen and "$ " not in screen)
    node.call("POST", f"/jobs/{job}/cancel")
    terminal.until(lambda screen: "cancelled" in screen and screen.rstrip().endswith("\n$"))


def test_waiting_says_why_and_leaves_no_trace(terminal: Terminal, node: NodeProcess) -> None:
    job = node.submit(name="late", cmd="echo", args=["done"], trigger={"delay": "1h"})
    terminal.type("jobctl job logs -f late")
    terminal.until("job late is scheduled: waits until its time comes (")
    terminal.press("C-c")
    page = terminal.until("follows it again")
    assert "is scheduled" not in page
    assert f"jobctl: job {job} goes on\n  `jobctl job logs -f {job}` follows it again." in page
    node.call("POST", f"/jobs/{job}/cancel")
    terminal.type("clear; jobctl run --name counted --tasks 4 'sleep 1; echo counted; sleep 1'")
    terminal.until("job counted is running: ")
    page = terminal.until(lambda screen: screen.count("counted\n") == 4)
    assert "is running" not in page


def test_interrupted_run_cancels_the_job(terminal: Terminal, node: NodeProcess) -> None:
    terminal.type("jobctl run --name stopped 'echo up; sleep 60'; echo ended with $?")
    terminal.until("up\n")
    terminal.press("C-c")
    page = terminal.until("ended with 130")
    assert "Ctrl-C again leaves it" in page
    (job,) = node.call("GET", "/jobs?name=stopped")["items"]
    assert until(lambda: node.job(job["id"])["state"]) == "cancelled"


def test_progress_of_many_specs_is_on_stderr_only(terminal: Terminal, tmp_path: Path) -> None:
    specs = "---\n".join(f"name: many-{i}\ntype: command\ncmd: 'true'\n" for i in range(30))
    (tmp_path / "many.yaml").write_text(specs)
    terminal.type(f"jobctl apply -o name -f {tmp_path}/many.yaml 2>{tmp_path}/told >{tmp_path}/out")
    terminal.until(lambda screen: screen.count("$") == 2)
    assert (tmp_path / "told").read_text() == ""
    terminal.type(f"jobctl apply -o name -f {tmp_path}/many.yaml >{tmp_path}/again; echo over")
    terminal.until("over\n$")
    assert "30 of 30" not in terminal.screen()
    assert (tmp_path / "out").read_text() == (tmp_path / "again").read_text()
    assert len((tmp_path / "out").read_text().splitlines()) == 30


@pytest.mark.parametrize(
    ("before", "behind", "coloured"),
    [
        ("", "", True),
        ("", "| cat", False),
        ("NO_COLOR=1 ", "", False),
        ("CLICOLOR_FORCE=1 ", "| cat", True),
        ("CLICOLOR_FORCE=1 NO_COLOR=1 ", "| cat", False),
    ],
)
def test_colours_are_for_terminals(
    terminal: Terminal, node: NodeProcess, before: str, behind: str, coloured: bool
) -> None:
    node.ended(node.submit(name="red", cmd="false"))
    node.ended(node.submit(name="red", cmd="true"))
    terminal.type(f"{before}jobctl job list --name red --limit 2 {behind}")
    terminal.until(lambda screen: "succeeded" in screen and "failed" in screen)
    screen = terminal.screen(escapes=True)
    assert (GREEN in screen, RED in screen) == (coloured, coloured)


def test_zsh_completes_words_and_live_names(
    environment: dict[str, str], node: NodeProcess, tmp_path: Path
) -> None:
    need("zsh", shutil.which("zsh") is not None, "zsh is not installed")
    node.ended(node.submit(name="packaging", cmd="true"))
    opened = Terminal(tmp_path / "tmux", environment, "zsh -f")
    try:
        opened.type("PS1='> '; autoload -U compinit; compinit -u -D; clear; echo rea''dy")
        opened.until("ready\n>")
        opened.type("source <(jobctl completion zsh); clear; echo lear''ned")
        opened.until("learned\n>")
        opened.press("jobctl va", "Tab")
        opened.until("> jobctl validate")
        opened.press("C-u", "jobctl job get pack", "Tab")
        opened.until("> jobctl job get packaging")
    finally:
        opened.end()
