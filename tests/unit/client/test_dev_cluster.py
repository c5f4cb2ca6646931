"""The directory of `jobd dev` stands for all its nodes, for jobctl and for the client library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobd.cli.discovery import Given, discover
from jobd.client.address import find_nodes


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    run = tmp_path / "jobd-dev" / "run"
    run.mkdir(parents=True)
    note = {"url": "http://127.0.0.1:1,http://127.0.0.1:2", "cluster": "127.0.0.1:3,127.0.0.1:4"}
    (run / "node.json").write_text(json.dumps(note))
    (run.parent / "admin.token").write_text("jobd_a_b\n")
    monkeypatch.chdir(tmp_path)
    return {"HOME": str(tmp_path)}


def test_it_is_found_below_the_present_directory(env: dict[str, str]) -> None:
    found = discover(Given(), env)
    assert (found.urls, found.token) == (("http://127.0.0.1:1", "http://127.0.0.1:2"), "jobd_a_b")
    target = find_nodes(env=env)
    assert (target.addresses, target.token) == (("127.0.0.1:3", "127.0.0.1:4"), "jobd_a_b")


def test_it_is_found_where_it_is_said_to_be(env: dict[str, str], tmp_path: Path) -> None:
    env["JOBD_DATA"] = str(tmp_path / "jobd-dev")
    assert len(discover(Given(), env).urls) == 2
    assert len(find_nodes(env=env).addresses) == 2


def test_its_token_goes_with_the_address_of_any_of_its_nodes(env: dict[str, str]) -> None:
    assert find_nodes("127.0.0.1:4", env=env).token == "jobd_a_b"
    assert discover(Given(url="http://127.0.0.1:2"), env).token == "jobd_a_b"
    assert not find_nodes("127.0.0.1:5", env=env).token


def test_a_node_in_jobd_data_goes_before_it(env: dict[str, str], tmp_path: Path) -> None:
    run = tmp_path / "jobd-data" / "run"
    run.mkdir(parents=True)
    note = {"url": "http://127.0.0.1:8", "cluster": "127.0.0.1:9"}
    (run / "node.json").write_text(json.dumps(note))
    assert discover(Given(), env).urls == ("http://127.0.0.1:8",)
    assert find_nodes(env=env).addresses == ("127.0.0.1:9",)
