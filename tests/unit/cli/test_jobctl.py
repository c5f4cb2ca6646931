"""jobctl as a whole: exit codes, discovery, start-up, other nouns."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actors.core.job import Ending
from actors.errors import ReadOnly
from jobd.cli.discovery import DEFAULT_URL, Given, discover
from jobd.cli.failure import Failure
from tests.unit.cli.conftest import Jobctl
from tests.unit.http.facade import Facade

JOBCTL = [sys.executable, "-m", "jobd.cli"]


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["job", "create"],
        ["job", "list", "--state", "odd"],
        ["job", "create", "j", "--env", "x", "--", "true"],
        ["job", "create", "j"],
        ["job", "wait", "j", "--timeout", "soon"],
        ["kv", "get", "no-slash"],
        ["event", "emit", "t", "--data", "{"],
        ["api", "GET", "/jobs", "-H", "nocolon"],
        ["--url", "ftp://x", "status"],
    ],
)
def test_usage_errors_are_64(jobctl: Jobctl, args: list[str]) -> None:
    ran = jobctl(*args)
    assert (ran.code, ran.out) == (64, b"")
    assert ran.err


def test_a_verb_without_its_noun_is_told_where_it_is(jobctl: Jobctl) -> None:
    assert "Did you mean `jobctl job logs`?" in jobctl("logs", "x").err
    assert "Did you mean" not in jobctl("xyzzy").err


def test_no_node_is_69_with_a_remedy(jobctl: Jobctl) -> None:
    for args in (["status"], ["run", "--", "true"], ["job", "logs", "-f", "7" + "z" * 25]):
        began = time.monotonic()
        ran = jobctl("--url", "http://127.0.0.1:9", *args)
        assert ran.code == 69
        assert "no node reachable at http://127.0.0.1:9" in ran.err
        assert "jobd start" in ran.err
        assert time.monotonic() - began < 5


def test_refused_credentials_are_77(served: Facade, jobctl: Jobctl) -> None:
    assert jobctl("--token", "jobd_x_y", "status").code == 77
    reader = served.do(served.gateway.mint, "read")
    assert jobctl("--token", reader, "job", "create", "j", "--", "true").code == 77


def test_a_token_with_its_line_end_is_taken(served: Facade, jobctl: Jobctl) -> None:
    assert jobctl("--token", f"{served.token}\n", "job", "list").code == 0


@pytest.mark.parametrize("token", ["jobd_a\nb", "jobd_€", "jobd_\x00"])
def test_a_token_that_is_none_is_77_and_not_shown(jobctl: Jobctl, token: str) -> None:
    ran = jobctl("--token", token, "job", "list")
    assert ran.code == 77
    assert "the token is not one" in ran.err
    assert token not in ran.err


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "ftp://x", "http://x:y"])
def test_what_is_no_url_is_64_with_a_remedy(jobctl: Jobctl, url: str) -> None:
    ran = jobctl("--url", url, "job", "list")
    assert ran.code == 64
    assert f"{url!r} is no URL of a node" in ran.err
    assert "Give one like" in ran.err


@pytest.mark.parametrize("verb", ["get", "cancel", "delete", "retry", "logs", "wait", "why"])
def test_an_empty_reference_is_no_job(jobctl: Jobctl, verb: str) -> None:
    assert jobctl("job", "create", "one", "-t", "command", "true").code == 0
    ran = jobctl("job", verb, "")
    assert ran.code == 64
    assert "is empty" in ran.err


def test_full_disk_is_70_at_once(served: Facade, jobctl: Jobctl) -> None:
    served.gateway.broken = ReadOnly("the disk is full", remedy="Make room.")
    began = time.monotonic()
    ran = jobctl("run", "--", "true")
    assert (ran.code, time.monotonic() - began < 5) == (70, True)
    assert "the disk is full\n  Make room." in ran.err


def test_kv_events_tokens_and_api(served: Facade, jobctl: Jobctl, tmp_path: Path) -> None:
    assert jobctl("kv", "put", "app/a b", "x").code == 64
    revision = jobctl("kv", "put", "app/k", "v1", "--create").out.decode().strip()
    assert jobctl("kv", "put", "app/k", "v2", "--create").code == 76
    file = tmp_path / "value"
    file.write_bytes(b"\x00\xff")
    assert jobctl("kv", "put", "app/k", f"@{file}", "--if-match", revision).code == 0
    assert jobctl("kv", "get", "app/k").out == b"\x00\xff"
    assert jobctl("kv", "list", "app", "-o", "name").out == b"kv/app/k\n"
    assert jobctl("kv", "delete", "app/k", "--if-match", "1").code == 76
    assert jobctl("kv", "delete", "app/k").code == 0
    assert jobctl("kv", "get", "app/k").code == 66

    emitted = jobctl("event", "emit", "order:made", "--data", '{"n":1}').out.decode().strip()
    listed = jobctl("event", "list", "--type", "order:*", "-o", "name").out.decode()
    assert listed == f"event/{emitted}\n"

    minted = jobctl("token", "create", "ci", "--scope", "read", "--ttl", "1h").out.decode().strip()
    assert jobctl("--token", minted, "status").code == 0
    assert minted.split("_")[2] not in jobctl("token", "list").out.decode()
    assert jobctl("token", "revoke", minted.split("_")[1]).code == 0
    assert jobctl("--token", minted, "status").code == 77

    body = json.loads(jobctl("api", "GET", "/jobs?limit=1&state=failed").out)
    assert body == {"items": [], "next_cursor": None}
    posted = jobctl("api", "post", "/events", "-d", '{"type":"x"}')
    assert "id" in json.loads(posted.out)
    assert jobctl("api", "GET", "/nothing").code == 66


def test_status_in_its_forms(jobctl: Jobctl) -> None:
    assert b"slots_total" in jobctl("status").out
    assert json.loads(jobctl("status", "-o", "json").out)["name"] == "n1"
    assert jobctl("status", "-o", "name").out == b"node/n1\n"


def test_discovery_order(tmp_path: Path) -> None:
    def node(folder: Path, url: str, token: str) -> Path:
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "node.json").write_text(json.dumps({"url": url}))
        (folder / "admin.token").write_text(token + "\n")
        return folder

    def found(env: dict[str, str], **given: str) -> tuple[str, str | None]:
        _, (url,), token = discover(Given(**given), env)
        return url, token

    home = tmp_path / "home"
    config = home / ".config" / "jobd" / "config.toml"
    config.parent.mkdir(parents=True)
    env = {"HOME": str(home)}
    assert found(env) == (DEFAULT_URL, None)
    runtime = tmp_path / "runtime"
    (runtime / "jobd").mkdir(parents=True)
    pointed = node(tmp_path / "pointed", "http://pointed:1", "t-pointed")
    (runtime / "jobd" / "node.json").write_text(json.dumps({"data": str(pointed)}))
    env["XDG_RUNTIME_DIR"] = str(runtime)
    assert found(env) == ("http://pointed:1", "t-pointed")
    far = '[contexts.far]\nurls = ["http://far:1"]\ntoken = "t-far"\n'
    config.write_text(far)
    assert found(env) == ("http://pointed:1", "t-pointed")
    config.write_text(f'current = "far"\n{far}')
    assert found(env) == ("http://far:1", "t-far")
    assert found({**env, "JOBD_CONTEXT": "local"}) == ("http://pointed:1", "t-pointed")
    env["JOBD_DATA"] = str(node(tmp_path / "data", "http://data:1", "t-data"))
    assert found(env) == ("http://data:1", "t-data")
    given = str(node(tmp_path / "given", "http://given:1", "t-given"))
    assert found(env, data=given) == ("http://given:1", "t-given")
    assert found(env, context="far") == ("http://far:1", "t-far")
    assert found(env, context="far", token="t") == ("http://far:1", "t")
    env["JOBD_URL"] = "http://env:1"
    assert found(env) == ("http://env:1", None)
    assert found(env, url="http://flag:1", token="t") == ("http://flag:1", "t")
    assert found(env, url="http://data:1") == ("http://data:1", "t-data")
    assert found(env, url="http://far:1") == ("http://far:1", "t-far")
    assert found(env, data=given) == ("http://given:1", "t-given")
    with pytest.raises(Failure, match="no context 'near'"):
        found(env, context="near")
    config.write_text("url = ")
    with pytest.raises(Failure, match=r"config\.toml"):
        found({"HOME": str(home)})


def test_named_directory_without_a_node_is_not_another_node(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no node runs in") as caught:
        discover(Given(data=str(tmp_path)), {"HOME": "/nowhere"})
    assert caught.value.exit_code == 69


def test_imports_nothing_heavy() -> None:
    script = (
        "import sys, jobd.cli.__main__; heavy = {'aiohttp','asyncio','zmq','pykka','msgspec',"
        "'msgpack','yaml','jsonschema','prometheus_client','rich','tomllib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_starts_within_a_few_times_python_itself() -> None:
    """150 ms of processor time, which others on the machine don't make longer."""

    def seconds(*args: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *args], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    rounds = [(seconds("-c", "pass"), seconds("-m", "jobd.cli", "job", "--help")) for _ in range(7)]
    bare, ours = (min(column) for column in zip(*rounds, strict=True))
    assert ours < 0.150 or ours < 5 * bare


def _environment(served: Facade) -> dict[str, str]:
    return os.environ | {"JOBD_URL": served.url, "JOBD_TOKEN": served.token}


def _run_sleep(served: Facade) -> tuple[subprocess.Popen[bytes], str, str]:
    """Start `jobctl run` and the attempt of its job; return it, the job and the attempt."""
    ctl = subprocess.Popen(
        [*JOBCTL, "run", "--", "sleep", "60"],
        env=_environment(served),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (items := served.api("GET", "/jobs").json["items"]):
        time.sleep(0.01)
    attempt = served.do(served.gateway.start, items[0]["id"])
    served.do(served.gateway.write_log, attempt, b"up\n")
    assert ctl.stdout is not None
    assert ctl.stdout.readline() == b"up\n"
    return ctl, items[0]["id"], attempt


def test_interrupt_cancels_the_job_and_keeps_following(served: Facade) -> None:
    ctl, job_id, attempt = _run_sleep(served)
    ctl.send_signal(signal.SIGINT)
    while not served.api("GET", f"/jobs/{job_id}").json["cancel_requested"]:
        time.sleep(0.01)
    served.do(served.gateway.write_log, attempt, b"cleaning\n")
    served.do(served.gateway.end, attempt, Ending("cancelled", "cancelled", signal=15))
    out, err = ctl.communicate(timeout=10)
    assert (ctl.returncode, out) == (130, b"cleaning\n")
    assert b"Ctrl-C again leaves it" in err


def test_second_interrupt_leaves(served: Facade) -> None:
    ctl, job_id, _ = _run_sleep(served)
    ctl.send_signal(signal.SIGINT)
    assert ctl.stderr is not None
    assert b"cancelling" in ctl.stderr.readline()
    ctl.send_signal(signal.SIGINT)
    ctl.communicate(timeout=10)
    assert ctl.returncode == 130
    assert served.api("GET", f"/jobs/{job_id}").json["state"] == "running"


def test_interrupted_follower_leaves_the_job(served: Facade) -> None:
    job_id = served.api("POST", "/jobs", {"name": "j", "type": "command", "cmd": "x"}).json["id"]
    attempt = served.do(served.gateway.start, job_id)
    served.do(served.gateway.write_log, attempt, b"up\n")
    ctl = subprocess.Popen(
        [*JOBCTL, "job", "logs", "-f", job_id],
        env=_environment(served),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert ctl.stdout is not None
    assert ctl.stdout.readline() == b"up\n"
    ctl.send_signal(signal.SIGINT)
    _, err = ctl.communicate(timeout=10)
    assert ctl.returncode == 130
    assert f"job logs -f {job_id}" in err.decode()
    assert not served.api("GET", f"/jobs/{job_id}").json["cancel_requested"]


def test_closed_pipe_is_quiet(served: Facade) -> None:
    job_id = served.api("POST", "/jobs", {"name": "j", "type": "command", "cmd": "x"}).json["id"]
    served.do(served.gateway.run, job_id, out=b"line\n" * 100_000)
    line = f"{sys.executable} -m jobd.cli job logs {job_id} | head -n 1"
    done = subprocess.run(["sh", "-c", line], env=_environment(served), capture_output=True)
    assert (done.stdout, done.stderr) == (b"line\n", b"")
