"""Commands that can't run as asked, and outputs beyond what is kept: failed, with what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from actors import limits
from tests.integration.node_process import NodeProcess
from tests.parts import need


def failed(node: NodeProcess, **spec: Any) -> tuple[str, str]:
    """Submit, expect it to fail without having run, and return reason and detail."""
    job = node.ended(node.submit(**spec))
    assert (job["state"], job["exit_code"], job["signal"]) == ("failed", None, None)
    assert node.call("GET", "/status")["slots_free"] == 4
    return job["reason"], job["detail"]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name, content, mode in (
        ("plain", b"echo no\n", 0o755),
        ("binary", b"\x7fELF\x00\x01garbage", 0o755),
        ("lost", b"#!/no/such/interpreter\n", 0o755),
        ("locked", b"#!/bin/sh\n", 0o644),
        ("empty", b"", 0o755),
    ):
        (folder / name).write_bytes(content)
        (folder / name).chmod(mode)
    return folder


@pytest.mark.parametrize(
    ("name", "cause", "remedy"),
    [
        (
            "missing", "No such file or directory",
            "it, or the interpreter in its first line, does not exist: fix the path",
        ),
        (
            "lost", "No such file or directory",
            "it, or the interpreter in its first line, does not exist: fix the path",
        ),
        (
            "locked", "Permission denied",
            "it is not executable: chmod +x it, or name its interpreter first",
        ),
        (
            ".", "Permission denied",
            "it is not executable: chmod +x it, or name its interpreter first",
        ),
        (
            "plain", "Exec format error",
            "it is no program: begin it with a #! line, or name its interpreter first",
        ),
        (
            "binary", "Exec format error",
            "it is no program: begin it with a #! line, or name its interpreter first",
        ),
        (
            "empty", "Exec format error",
            "it is no program: begin it with a #! line, or name its interpreter first",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("limited", [False, True], ids=["posix_spawn", "fork"])
def test_what_is_no_program(
    node: NodeProcess, programs: Path, name: str, cause: str, remedy: str, limited: bool
) -> None:
    program = f"{programs}/{name}"
    limits_ = {"limits": {"nofile": 64}} if limited else {}
    assert failed(node, cmd=program, **limits_) == (
        "spawn",
        f"'{program}' can't be executed ({cause}); {remedy}",
    )


def test_what_is_not_in_the_path(node: NodeProcess) -> None:
    reason, detail = failed(node, cmd="no-such-program", environment={"PATH": "/usr/bin:/bin"})
    assert (reason, detail) == (
        "spawn",
        "'no-such-program' was not found in PATH (/usr/bin:/bin);"
        " install it on this node or give its full path",
    )


def test_a_directory_that_is_not_there(node: NodeProcess, programs: Path) -> None:
    for place, cause in (
        (f"{programs}/none", "No such file or directory"),
        (f"{programs}/plain", "Not a directory"),
    ):
        assert failed(node, cmd="true", cwd=place) == (
            "spawn",
            f"the working directory '{place}' can't be entered ({cause}); create it or fix `cwd`",
        )


def test_a_user_that_is_not_there(node: NodeProcess) -> None:
    assert failed(node, cmd="true", user="no-such-user") == (
        "spawn",
        "there is no user 'no-such-user' on this node; create it or name another in `user`",
    )


def test_a_user_that_cannot_reach_its_files(node: NodeProcess) -> None:
    need("root", os.geteuid() == 0, "another user can only be become by root")
    reason, detail = failed(node, cmd="true", user="nobody")
    assert reason == "spawn"
    assert detail.startswith("user 'nobody' can't reach ")
    assert detail.endswith("(every directory above it needs o+x)")


def test_it_is_tried_again_only_if_asked(node: NodeProcess) -> None:
    retry = {"max_attempts": 3, "delay_ms": 0}
    job = node.ended(node.submit(cmd="/no/such/file", retry=retry))
    assert (job["state"], job["reason"], job["attempt"]) == ("failed", "spawn", 3)


def test_as_many_arguments_as_a_spec_takes(node: NodeProcess) -> None:
    job_id = node.submit(shell='echo $#; : "$@"', environment={"A": "x" * 40_000})
    assert node.ended(job_id)["state"] == "succeeded"
    job_id = node.submit(cmd="/bin/echo", args=["x" * 40_000])
    assert node.ended(job_id)["state"] == "succeeded"
    assert sum(len(r["text"]) for r in node.logs(job_id)) == 40_001


def test_an_output_beyond_its_cap(node: NodeProcess) -> None:
    script = f"head -c {limits.OUTPUT_BYTES + 1} /dev/zero >$JOBD_OUTPUT"
    job = node.ended(node.submit(shell=script))
    assert (job["state"], job["reason"], job["exit_code"]) == ("failed", "output", 0)
    assert (
        job["detail"]
        == f"$JOBD_OUTPUT can't be used: it is larger than {limits.OUTPUT_BYTES} bytes"
    )


def test_an_output_at_its_cap(node: NodeProcess) -> None:
    count = limits.OUTPUT_BYTES - 2
    script = f"(printf '\"'; head -c {count} /dev/zero | tr '\\0' x; printf '\"') >$JOBD_OUTPUT"
    job_id = node.submit(shell=script)
    assert node.ended(job_id)["state"] == "succeeded"
    (artifact,) = node.call("GET", f"/jobs/{job_id}/artifacts")["items"]
    assert artifact["size_bytes"] == limits.OUTPUT_BYTES
    (node.data / "artifacts" / job_id / "00000").unlink()  # 64 MiB of a test


def test_a_schema_bounds_what_it_is_held_against(node: NodeProcess) -> None:
    script = "(printf '['; yes '{},' | head -n 400000; printf '{}]') | tr -d '\\n' >$JOBD_OUTPUT"
    job = node.ended(node.submit(shell=script, output_schema={"type": "array"}))
    assert (job["state"], job["reason"]) == ("failed", "output_schema")
    assert job["detail"] == "the output takes 1200004 bytes; SCHEMA_OUTPUT_BYTES is 1048576"


def test_an_output_nested_deep(node: NodeProcess) -> None:
    script = "(yes '[' | head -n 20000; yes ']' | head -n 20000) | tr -d '\\n' >$JOBD_OUTPUT"
    job = node.ended(node.submit(shell=script))
    assert (job["state"], job["reason"]) == ("failed", "output")
    assert job["detail"] == "the output's last line is nested too deep"
