"""Specs in files: apply, diff, plan, validate and batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors import limits
from actors.errors import ReadOnly
from jobd.cli.documents import Document, read_documents
from tests.unit.cli.conftest import Jobctl, Ran
from tests.unit.http.facade import Facade

TWO = """# the first
name: one
type: command
cmd: "true"
---
# the second

name: two
type: command
shell: echo hi
timeout: 1m
"""
WRONG = """name: worse
type: command
shel: x
---
name: worst
type: command
cmd: x
priority: 900
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.yaml"
    path.write_text(TWO)
    return path


def names(served: Facade) -> list[str]:
    return [job["name"] for job in served.api("GET", "/jobs").json["items"]]


def results(ran: Ran) -> list[tuple[str, str]]:
    return [(item["name"], item["result"]) for item in json.loads(ran.out)["items"]]


def test_apply_makes_a_job_of_each_content_once(
    served: Facade, jobctl: Jobctl, file: Path, tmp_path: Path
) -> None:
    first = jobctl("apply", "-f", str(file), "-o", "json")
    assert (first.code, first.err) == (0, "")
    assert results(first) == [("one", "created"), ("two", "created")]
    again = jobctl("apply", "-f", str(file), "-o", "json")
    assert results(again) == [("one", "unchanged"), ("two", "unchanged")]
    ids = [item["id"] for item in json.loads(again.out)["items"]]
    assert ids == [item["id"] for item in json.loads(first.out)["items"]]
    same = tmp_path / "same.json"
    same.write_text('{"cmd": "true", "type": "command", "name": "one"}')
    assert results(jobctl("apply", "-f", str(same), "-o", "json")) == [("one", "unchanged")]
    file.write_text(TWO.replace("1m", "2m"))
    changed = jobctl("apply", "-f", str(file))
    assert changed.out.decode().splitlines()[0].split() == ["RESULT", "NAME", "ID", "FILE"]
    assert [line.split()[0] for line in changed.out.decode().splitlines()[1:]] == [
        "unchanged",
        "created",
    ]
    assert names(served) == ["two", "two", "one"]


def test_what_is_wrong_is_told_with_its_place_and_the_rest_applied(
    served: Facade, jobctl: Jobctl, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong.yaml").write_text(WRONG)
    (tmp_path / "no-spec.txt").write_text("left alone")
    ran = jobctl("apply", "-f", str(tmp_path), "-o", "json")
    assert ran.code == 78
    assert names(served) == ["two", "one"]
    assert results(ran) == [("one", "created"), ("two", "created")]
    wrong = tmp_path / "wrong.yaml"
    assert f'{wrong}:3:1: $.shel: unknown key "shel"; did you mean shell?' in ran.err
    assert f"{wrong}:8:1: $.priority" in ran.err
    assert "jobctl: 2 of 4 specs failed\n  " in ran.err


def test_apply_tells_what_was_applied_before_it_failed(
    served: Facade, jobctl: Jobctl, file: Path
) -> None:
    served.gateway.broken = ReadOnly("the disk is full", remedy="Make room.")
    ran = jobctl("apply", "-f", str(file))
    assert ran.code == 70
    assert ran.err.count("the disk is full") == 2
    assert len(ran.out.splitlines()) == 1
    gone = jobctl("--url", "http://127.0.0.1:9", "apply", "-f", str(file))
    assert (gone.code, len(gone.out.splitlines())) == (69, 1)


def test_validate_asks_no_node_and_tells_everything(jobctl: Jobctl, tmp_path: Path) -> None:
    good, wrong = tmp_path / "good.yaml", tmp_path / "wrong.yaml"
    good.write_text(TWO)
    wrong.write_text(WRONG)
    nowhere = ("--url", "http://127.0.0.1:9", "validate")
    assert jobctl(*nowhere, "-f", str(good)) == Ran(0, b"", "2 specs are valid\n")
    ran = jobctl(*nowhere, "-f", str(good), "-f", str(wrong))
    assert ran.code == 78
    places = [line.split(": ")[0] for line in ran.err.splitlines()[:-2]]
    assert set(places) == {f"{wrong}:{line}:1" for line in (1, 3, 8)}
    assert ran.err.splitlines()[-2] == "jobctl: 2 specs are wrong"
    assert jobctl(*nowhere, "-f", str(tmp_path / "none")).code == 64
    (tmp_path / "empty.yaml").write_text("# nothing\n---\n\n")
    assert jobctl(*nowhere, "-f", str(tmp_path / "empty.yaml")).code == 64
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (limits.SPEC_FILE_BYTES + 1))
    assert "SPEC_FILE_BYTES" in jobctl(*nowhere, "-f", str(large)).err


def test_diff_is_against_the_newest_job_of_the_name(jobctl: Jobctl, file: Path) -> None:
    none = jobctl("diff", "-f", str(file))
    assert none.code == 1
    assert "--- no job one\n" in none.out.decode()
    jobctl("apply", "-f", str(file))
    assert jobctl("diff", "-f", str(file)) == Ran(0, b"", "")
    file.write_text(TWO.replace("timeout: 1m", "timeout: 60s"))
    assert jobctl("diff", "-f", str(file)).code == 0
    file.write_text(TWO.replace("timeout: 1m", "timeout: 2m"))
    ran = jobctl("diff", "-f", str(file))
    changed = [line for line in ran.out.decode().splitlines() if line[:1] in "+-"]
    assert changed[0].startswith("--- job/")
    assert changed[1:] == [f"+++ {file}:8", "-timeout_ms: 60000", "+timeout_ms: 120000"]
    assert ran.code == 1


def test_plan_says_what_would_be_and_makes_nothing(
    served: Facade, jobctl: Jobctl, file: Path, tmp_path: Path
) -> None:
    ran = jobctl("plan", "-f", str(file))
    assert ran.code == 0
    assert f"{file}:8: job two would be pending\n  a node would claim it at once\n" in (
        ran.out.decode()
    )
    assert "    timeout_ms: 60000\n" in ran.out.decode()
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(
        '{"name": "e", "type": "command", "cmd": "x", "placement": {"labels": {"zone": "a"}}}'
    )
    ran = jobctl("plan", "-f", str(elsewhere))
    assert "  node : needs label zone=a, has none\n" in ran.out.decode()
    (item,) = json.loads(jobctl("plan", "-f", str(elsewhere), "-o", "json").out)["items"]
    assert (item["fits"], item["state"], item["file"]) == (False, "pending", str(elsewhere))
    assert names(served) == []


def test_batch_is_one_request_and_all_or_nothing(
    served: Facade, jobctl: Jobctl, file: Path, tmp_path: Path
) -> None:
    ran = jobctl("job", "batch", "-f", str(file), "-o", "name", "--idempotency-key", "k")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 2
    assert jobctl("job", "batch", "-f", str(file), "-o", "name", "--idempotency-key", "k") == ran
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(WRONG)
    ran = jobctl("job", "batch", "-f", str(file), "-f", str(wrong))
    assert ran.code == 78
    assert f"{wrong}:3:1: " in ran.err
    assert sorted(names(served)) == ["one", "two"]
    served.gateway.broken = ReadOnly("the disk is full", remedy="Make room.")
    ran = jobctl("job", "batch", "-f", str(file))
    assert ran.code == 70
    assert ran.err.count("the disk is full") == 2
    assert "2 of 2 jobs were not accepted\n  Make room." in ran.err


def test_documents_keep_the_lines_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_bytes(b"--- {a: 1}\n---\n# only this\n---\nb: |\n  ---\n  text\n...\n")
    first, second = read_documents([str(path)])
    assert first == Document(str(path), 1, b"    {a: 1}\n")
    assert (second.line, second.text) == (5, b"\n" * 3 + b"   \nb: |\n  ---\n  text\n...\n")
    assert (first.place, second.place) == (str(path), f"{path}:5")


def test_a_hook_is_put_where_it_differs(jobctl: Jobctl, tmp_path: Path) -> None:
    file = tmp_path / "hook.yaml"
    file.write_text("name: h\non: x\nwebhook: {url: https://e.com}\n")
    assert "created" in jobctl("apply", "-f", str(file)).out.decode()
    assert "unchanged" in jobctl("apply", "-f", str(file)).out.decode()
    file.write_text("name: h\non: y\nwebhook: {url: https://e.com}\n")
    assert "updated" in jobctl("plan", "-f", str(file), "-o", "wide").out.decode()
    assert "-'on': x" in jobctl("diff", "-f", str(file)).out.decode()
    assert "updated" in jobctl("apply", "-f", str(file)).out.decode()
    file.write_text("on: y\nwebhook: {url: ftp://e.com}\n")
    ran = jobctl("validate", "-f", str(file))
    assert ran.code == 78
    assert "only http and https" in ran.err
