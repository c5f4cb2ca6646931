"""Where a client looks for its nodes, and which token it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.errors import ActorUnavailable, InvalidInput
from jobd.client.address import DEFAULT_ADDRESS, GIVEN, find_nodes


def leave(data: Path, cluster: str, token: str) -> Path:
    (data / "run").mkdir(parents=True)
    (data / "run" / "node.json").write_text(json.dumps({"cluster": cluster}))
    (data / "admin.token").write_text(token + "\n")
    return data


def test_the_argument_comes_first(tmp_path: Path) -> None:
    data = leave(tmp_path / "d", "127.0.0.1:7801", "jobd_a_b")
    env = {"JOBD_ADDRESS": "h:1", "JOBD_DATA": str(data), "JOBD_TOKEN": "t"}
    assert find_nodes("tcp://h:2, :3", "mine", env) == (("h:2", "127.0.0.1:3"), "mine", GIVEN)
    assert find_nodes(["[::1]:2"], None, env) == (("[::1]:2",), "t", GIVEN)
    assert find_nodes(None, None, env) == (("h:1",), "t", GIVEN)


def test_a_node_of_this_machine_is_found_with_its_token(tmp_path: Path) -> None:
    data = leave(tmp_path / "d", "127.0.0.1:7801", "jobd_a_b")
    found = (("127.0.0.1:7801",), "jobd_a_b", str(data))
    assert find_nodes(None, None, {"JOBD_DATA": str(data)}) == found
    (tmp_path / "jobd").mkdir()
    (tmp_path / "jobd" / "node.json").write_text(json.dumps({"data": str(data)}))
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert find_nodes(None, None, env) == found
    assert find_nodes("127.0.0.1:7801", None, env).token == "jobd_a_b"
    assert find_nodes("127.0.0.1:7802", None, env).token == ""


def test_nothing_there_is_the_default_port() -> None:
    assert find_nodes(None, None, {}) == ((DEFAULT_ADDRESS,), "", "default")


def test_a_named_directory_without_a_node_is_no_reason_for_another() -> None:
    with pytest.raises(ActorUnavailable, match="no node runs in /nowhere"):
        find_nodes(None, None, {"JOBD_DATA": "/nowhere"})
    assert find_nodes("h:1", None, {"JOBD_DATA": "/nowhere"}).addresses == ("h:1",)


@pytest.mark.parametrize("text", ["host", "host:", "h:99999", "http://h:1", "a b:1", "h:1/x"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(InvalidInput, match="no address"):
        find_nodes(text, None, {})
