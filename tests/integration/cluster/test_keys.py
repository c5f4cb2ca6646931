"""A node with keys: who gets in at its cluster port, and how nodes with keys join and form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import jobd.client
from actors.errors import ActorUnavailable, ConfigError, Forbidden, Unauthenticated
from actors.runtime.curve import new_curve
from jobd.client.keys import curve_for
from tests.integration.cluster.three import SLOW_S, Three, put, read
from tests.integration.node_process import NodeProcess, until


def keys(*args: str) -> str:
    """Run `jobd keys`."""
    command = [sys.executable, "-m", "jobd", "keys", *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def address_of(node: NodeProcess) -> str:
    """Return KEY@HOST:PORT of a node that runs."""
    found: str = json.loads((node.data / "run" / "node.json").read_text())["cluster"]
    return found


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node with keys on loopback, and a client's key on its list."""
    folder = tmp_path_factory.mktemp("locked")
    data = folder / "data"
    own = keys("new", "--data", str(data))
    assert keys("show", "--data", str(data)) == own
    client = keys("new", "--client", str(folder / "client.curve"))
    keys("allow", "client", "ci", client, "--data", str(data))
    node = NodeProcess(data).start()
    assert address_of(node).startswith(f"{own}@127.0.0.1:")
    yield node
    node.end()


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("JOBD_DATA", "JOBD_KEY_FILE", "JOBD_ADDRESS", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_a_client_comes_with_its_key(locked: NodeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBD_KEY_FILE", str(locked.data.parent / "client.curve"))
    with jobd.client.Client(address_of(locked), token=locked.token) as client:
        assert client.status().slots_total > 0
    with (
        jobd.client.Client(address_of(locked), token="jobd_x_y") as client,
        pytest.raises(Unauthenticated),
    ):
        client.status()


def test_a_client_on_the_same_machine_finds_its_key(
    locked: NodeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBD_DATA", str(locked.data))
    with jobd.client.Client() as client:
        assert client.status().slots_total > 0


def test_a_client_without_a_key_is_told_so(locked: NodeProcess) -> None:
    keyed = address_of(locked)
    with (
        jobd.client.Client(keyed, token=locked.token) as client,
        pytest.raises(ConfigError, match="wants a key"),
    ):
        client.status()
    bare = keyed.rpartition("@")[2]
    with (
        jobd.client.Client(bare, token=locked.token) as client,
        pytest.raises(ActorUnavailable, match="does it want a key"),
    ):
        client.status()


def test_a_key_that_is_not_on_the_list_is_refused(
    locked: NodeProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys("new", "--client", str(tmp_path / "stranger"))
    monkeypatch.setenv("JOBD_KEY_FILE", str(tmp_path / "stranger"))
    with (
        jobd.client.Client(address_of(locked), token=locked.token) as client,
        pytest.raises(ActorUnavailable, match="doesn't know this client's key"),
    ):
        client.status()


def test_a_key_in_the_store_is_let_in_until_it_is_deleted(
    locked: NodeProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    public = keys("new", "--client", str(tmp_path / "laptop"))
    locked.call("PUT", "/cluster/keys/laptop", {"key": public})
    monkeypatch.setenv("JOBD_KEY_FILE", str(tmp_path / "laptop"))
    with jobd.client.Client(address_of(locked), token=locked.token) as client:
        assert client.status().slots_total > 0
        client.members.delete_key("laptop")
        time.sleep(2.5)
        with pytest.raises((ActorUnavailable, Forbidden)):
            client.status()


def test_an_impostor_without_the_nodes_key_gets_no_token(
    locked: NodeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBD_KEY_FILE", str(locked.data.parent / "client.curve"))
    other = f"{new_curve().public.hex()}@{address_of(locked).rpartition('@')[2]}"
    assert curve_for(other) is not None
    with (
        jobd.client.Client(other, token=locked.token) as client,
        pytest.raises(ActorUnavailable, match="another than the address says"),
    ):
        client.status()


def test_a_program_links_its_actors_with_a_key(locked: NodeProcess) -> None:
    program = (
        "import actors, sys\n"
        "@actors.remote\n"
        "class Greeter:\n"
        "    @actors.method(scope='read')\n"
        "    def greet(self): return 'hello'\n"
        "actors.connect(sys.argv[1])\n"
        "Greeter.options(name='g').remote()\n"
        "print(actors.get(actors.get_actor('g').greet.remote()))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, f"tcp://{address_of(locked)}"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "JOBD_TOKEN": locked.token,
            "JOBD_KEY_FILE": str(locked.data.parent / "client.curve"),
            "PYTHONPATH": str(Path(__file__).parents[3]),
        },
    )
    assert told.stdout == "hello\n", told.stderr


def test_a_node_without_keys_refuses_to_listen_elsewhere(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "data", "--cluster=0.0.0.0:0")
    node.launch()
    assert node.exit_code() == 78
    assert "jobd keys new" in node.log()
    keys("new", "--data", str(tmp_path / "data"))
    node.start()
    try:
        assert address_of(node).rpartition("@")[2].startswith("0.0.0.0:")
    finally:
        node.end()


def test_nodes_with_keys_form_a_cluster_and_one_joins(tmp_path: Path) -> None:
    nodes = Three(tmp_path)
    try:
        for n in (1, 2, 3, 4):
            keys("new", "--data", str(tmp_path / f"n{n}"))
        named = ",".join(
            f"127.0.0.1:{nodes.ports[n]}={keys('show', '--data', str(tmp_path / f'n{n}'))}"
            for n in (1, 2, 3)
        )
        for n in (1, 2, 3):
            nodes.make(n).environment["JOBD_CFG_CLUSTER__KEYS"] = named
        nodes.launch(1, 2, 3)
        put(nodes.nodes[1], "a", b'"one"')
        until(lambda: read(nodes.nodes[3], "a"), SLOW_S)
        nodes.join(4)
        until(lambda: read(nodes.nodes[4], "a"), SLOW_S)
        nodes.nodes[4].kill()
        nodes.launch(4)  # by its own key now: its token is used up
        put(nodes.nodes[4], "b", b'"two"')
    finally:
        nodes.end()
