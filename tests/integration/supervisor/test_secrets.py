"""A secret reaches its job and nothing that the job supervisor writes."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from actors.backends.job_logs import JobLogs
from actors.core.supervisor_protocol import Launch, Output, SecretValues
from tests.integration.supervisor.node import Node, attempt, run, shell, text_of

SECRET = "hunter2/ü s3cret"
GIVEN = SecretValues({"TOKEN": SECRET, "PIN": "abc"})


def with_secrets(script: str) -> Launch:
    return shell(script, secrets=GIVEN)


def files_with(data: Path, text: bytes) -> list[Path]:
    return [path for path in data.rglob("*") if path.is_file() and text in path.read_bytes()]


def test_the_job_has_it_and_its_log_does_not(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    data = tmp_path / "data"
    data.mkdir()
    script = f"""
        printf %s "$TOKEN" > {seen}
        echo "a $TOKEN b"; echo "$TOKEN" >&2
        printf %s "$TOKEN" | base64
        printf 'Basic %s' "$(printf 'user:%s' "$TOKEN" | base64)"
    """

    async def scenario(node: Node) -> None:
        end = await node.run(with_secrets(script))
        assert end.code == 0
        assert seen.read_text() == SECRET
        lines = text_of(data, stream=1).split(b"\n")
        assert lines[:2] == [b"a *** b", b"***"]
        assert text_of(data, stream=2) == b"***\n"
        for form in (SECRET.encode(), base64.b64encode(SECRET.encode())[:-4]):
            assert files_with(data, form) == []

    run(scenario, data)


def test_it_is_masked_however_slowly_it_is_written(tmp_path: Path) -> None:
    """Each piece is longer on its way than a line waits to be shown."""
    script = 'for c in hun ter 2/ü " s3c" ret; do printf %s "$c"; sleep 0.15; done; echo " end"'

    async def scenario(node: Node) -> None:
        await node.run(with_secrets(script))
        assert text_of(tmp_path) == b"hun*** end\n"

    run(scenario, tmp_path)


def test_what_only_begins_like_a_secret_is_told_at_the_end(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.run(with_secrets("printf hunter2"))
        assert text_of(tmp_path) == b"hunter2"

    run(scenario, tmp_path)


def test_a_prompt_is_seen_at_once(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(with_secrets("printf 'go on? h'; sleep 30"))
        await node.until(lambda: Output(attempt("j"), 1) in node.frames)
        logs = JobLogs(tmp_path)
        assert [line.data for line in logs.read(attempt("j")).records] == [b"go on? h"]
        logs.close()

    run(scenario, tmp_path)


def test_a_value_that_is_too_short_is_not_masked(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.run(with_secrets("echo $PIN"))
        assert text_of(tmp_path) == b"abc\n"

    run(scenario, tmp_path)


def test_an_inline_output_with_a_secret_is_refused(tmp_path: Path) -> None:
    script = """printf '{"token": "%s"}' "$TOKEN" > "$JOBD_OUTPUT" """

    async def scenario(node: Node) -> None:
        end = await node.run(with_secrets(script))
        assert end.code == 0
        assert "value of a secret" in end.output_error
        assert end.output is None

    run(scenario, tmp_path)


def test_a_refused_launch_is_registered_and_spawns_nothing(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        end = await node.run(Launch(argv=("",), refusal="there is no secret db"))
        assert (end.reason, end.detail) == ("spawn", "there is no secret db")
        again = await node.run(shell("touch ran"))
        assert again == end, "a repeat is answered with how it stands"

    run(scenario, tmp_path)


def test_jobs_own_variables_stand_over_secrets(tmp_path: Path) -> None:
    launch = shell(
        "echo $JOBD_ATTEMPT $PATH",
        environment={"JOBD_ATTEMPT": "1"},
        secrets=SecretValues({"JOBD_ATTEMPT": "seven7", "PATH": "/nowhere:" + os.environ["PATH"]}),
    )

    async def scenario(node: Node) -> None:
        await node.run(launch)
        assert text_of(tmp_path) == b"1 ***\n"

    run(scenario, tmp_path)
