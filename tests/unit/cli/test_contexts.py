"""Contexts, and clusters of which any node will do."""

from __future__ import annotations

import json
import socket
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from actors.errors import ReadOnly
from jobd.cli.client import Client, Refused, Unreachable, other_urls
from jobd.cli.discovery import Found
from tests.unit.cli.conftest import Jobctl
from tests.unit.http.facade import Facade, facade
from tests.unit.http.test_cluster import populate

DEAD = "http://127.0.0.1:9"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobctl: Jobctl) -> Path:
    """A user without a node: what is found comes from contexts alone."""
    monkeypatch.chdir(tmp_path)
    for name in ("JOBD_URL", "JOBD_TOKEN", "JOBD_DATA", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("jobd.cli.discovery.DEFAULT_URL", DEAD)
    monkeypatch.setattr("jobd.cli.discovery.DEFAULT_URL", DEAD)  # a node may be at the real one
    return tmp_path / ".config" / "jobd" / "config.toml"


@pytest.fixture
def other() -> Iterator[Facade]:
    with facade() as one:
        yield one


def test_a_context_is_added_used_shown_and_deleted(
    served: Facade, jobctl: Jobctl, home: Path
) -> None:
    token_file = home.parents[2] / "token"
    token_file.write_text(served.token + "\n")
    added = ("context", "add", "prod", DEAD, served.url, "--token-file", str(token_file))
    assert jobctl(*added).code == 0
    assert jobctl("status").code == 69
    assert jobctl("--context", "prod", "status").code == 0
    assert jobctl("context", "use", "prod").code == 0
    assert jobctl("status").code == 0
    assert home.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(home.read_text()) == {
        "current": "prod",
        "contexts": {"prod": {"urls": [DEAD, served.url], "token": served.token}},
    }
    shown = jobctl("context", "show", "-o", "json")
    assert json.loads(shown.out)["source"] == "context prod"
    listed = jobctl("context", "list", "-o", "json")
    assert [item["name"] for item in json.loads(listed.out)["items"] if item["current"]] == ["prod"]
    secret = served.token.rpartition("_")[2].encode()
    assert secret not in shown.out + listed.out + jobctl("context", "show", "prod").out
    assert jobctl("context", "delete", "prod").code == 0
    assert jobctl("context", "list", "-o", "name").out == b"context/local\n"
    assert jobctl("status").code == 69


def test_the_token_of_a_context_gives_way_to_one_that_is_given(
    served: Facade, jobctl: Jobctl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jobctl("--token", "jobd_x_y", "context", "add", "c", served.url, "--use").code == 0
    assert jobctl("status").code == 77
    assert jobctl("--token", served.token, "status").code == 0
    monkeypatch.setenv("JOBD_CONTEXT", "local")
    assert jobctl("status").code == 69
    assert jobctl("--context", "c", "--token", served.token, "status").code == 0


@pytest.mark.parametrize("name", ["local", "a b", "", "-x", "a.b"])
def test_names_that_no_context_can_have(jobctl: Jobctl, home: Path, name: str) -> None:
    assert jobctl("context", "add", "--", name, DEAD).code == 64
    assert not home.exists()


@pytest.mark.parametrize(
    "text",
    [
        "current =",
        'current = "gone"',
        'url = "x"',
        "contexts = 1",
        "[contexts.a]\nurls = []",
        '[contexts.a]\nurls = "x"',
        '[contexts.a]\nurls = ["x"]\ntoken = 1',
    ],
)
def test_a_file_that_makes_no_sense_is_named(jobctl: Jobctl, home: Path, text: str) -> None:
    home.parent.mkdir(parents=True)
    home.write_text(text)
    ran = jobctl("status")
    assert ran.code == 64
    assert ran.err.startswith(f"jobctl: {home}: ")
    assert home.read_text() == text


def test_unknown_context_is_66(jobctl: Jobctl, home: Path) -> None:
    for args in (["use", "x"], ["delete", "x"], ["show", "x"]):
        ran = jobctl("context", *args)
        assert ran.code == 66
        assert "jobctl context list" in ran.err
    assert jobctl("--context", "x", "status").code == 66


# -- fail-over


def client(*urls: str, token: str = "") -> Client:
    return Client(lambda: Found("test", urls, token), timeout_s=5)


def test_a_node_that_is_gone_is_passed_over(served: Facade) -> None:
    ours = client(DEAD, served.url, token=served.token)
    assert ours.get("/status")["name"] == "n1"
    assert ours.url == served.url
    body = {"name": "j", "type": "command", "cmd": "x"}
    made = client(DEAD, served.url, token=served.token).submit("/jobs", body=body).json
    assert served.api("GET", f"/jobs/{made['id']}").status == 200
    put = client(DEAD, served.url, token=served.token)
    headers = {"Content-Type": "application/octet-stream"}
    assert put.request("PUT", "/kv/a/b", body=b"1", headers=headers).status == 200
    with pytest.raises(Unreachable):
        client(DEAD, "http://127.0.0.1:10").get("/status")


def test_a_node_that_cannot_just_now_is_passed_over_with_the_same_key(
    served: Facade, other: Facade
) -> None:
    served.gateway.broken = ReadOnly("the disk is full")
    token = served.token
    assert token == other.token
    body = {"name": "j", "type": "command", "cmd": "x"}
    ours = client(served.url, other.url, token=token)
    key = ours.submit("/jobs", body=body).json["id"]
    assert other.api("GET", f"/jobs/{key}").json["name"] == "j"
    other.gateway.broken = ReadOnly("the disk is full")
    with pytest.raises(Refused, match="full"):
        client(served.url, other.url, token=token).submit("/jobs", body=body)


def test_the_other_nodes_are_asked_for_by_who_knows_one(served: Facade, other: Facade) -> None:
    """Two doors of one cluster, the first of which closes while a job is submitted."""
    other.gateway, gateway = served.gateway, served.gateway
    other.stop_serving()
    other.serve(0)
    served.do(populate, gateway, "n2", f"127.0.0.1:{other.port}")
    ours = client(served.url, token=served.token)
    body = {"name": "j", "type": "command", "cmd": "x"}
    ours.submit("/jobs", body=body)
    served.stop_serving()
    try:
        ours.submit("/jobs", body=body)
        assert ours.url == other.url
        assert len(other.api("GET", "/jobs").json["items"]) == 2
    finally:
        served.serve(0)


@pytest.mark.parametrize(
    ("here", "told", "reached"),
    [
        ("http://127.0.0.1:1", "127.0.0.1:8080", ["http://127.0.0.1:8080"]),
        ("https://n1:1", "n2:8080", ["https://n2:8080"]),
        ("http://n1:1", "127.0.0.1:8080", []),
        ("http://n1:1", "0.0.0.0:8080", []),
        ("http://[::1]:1", "[::1]:8080", ["http://[::1]:8080"]),
        ("http://n1:1", "", []),
    ],
)
def test_where_other_nodes_are_reached(here: str, told: str, reached: list[str]) -> None:
    shown = [{"state": "up", "addresses": {"http": told} if told else {}}]
    assert [url.geturl() for url in other_urls(urlsplit(here), shown)] == reached
    assert not list(other_urls(urlsplit(here), [shown[0] | {"state": "lost"}]))


def test_a_frozen_node_is_not_waited_for_while_there_are_others(
    served: Facade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobd.cli.client.HURRY_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}"
        began = time.monotonic()
        assert client(url, served.url, token=served.token).get("/status")["name"] == "n1"
        assert time.monotonic() - began < 3


def test_several_urls_stand_in_one_variable(
    served: Facade, jobctl: Jobctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBD_URL", f"{DEAD}, {served.url}")
    assert jobctl("status", "-o", "name").out == b"node/n1\n"


def test_a_stream_goes_on_at_another_node(served: Facade) -> None:
    emitted = served.api("POST", "/events", {"type": "x"}).json["id"]
    ours = client(DEAD, served.url, token=served.token)
    name, id_, _ = next(ours.stream("/events/stream", {"after": "0-0", "types": "x"}))
    assert (name, id_) == ("event", emitted)


def test_what_may_have_been_received_is_not_sent_twice(served: Facade) -> None:
    """A node that takes a request and ends before it answers: only reads are repeated."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(5)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        def take() -> None:
            for _ in range(2):
                accepted, _ = silent.accept()
                accepted.recv(65536)
                accepted.close()

        taking = threading.Thread(target=take)
        taking.start()
        ours = client(url, served.url, token=served.token)
        with pytest.raises(Unreachable):
            ours.request("POST", "/events", body={"type": "twice"})
        assert served.api("GET", "/events?types=twice").json["items"] == []
        assert client(url, served.url, token=served.token).get("/status")["name"] == "n1"
        taking.join()
