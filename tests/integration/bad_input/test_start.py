"""Ports, data directories and configurations with which a node must not start, and what it says."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bad_input.start import CONFIG, DATA_DIRECTORY, Refusal, refusal
from tests.integration.node_process import NodeProcess, running
from tests.parts import need

NOBODY = 65534


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node in whose way the others would be, with a job that must still be there."""
    with running(tmp_path_factory.mktemp("in-use") / "data") as started:
        job_id = started.submit(shell="echo kept")
        started.ended(job_id)
        yield started
        assert [r["text"] for r in started.logs(job_id)] == ["kept\n"]
        assert started.ended(started.submit(cmd="true"))["state"] == "succeeded"


def port_of(url: str) -> str:
    return url.rpartition(":")[2]


# -- ports


@pytest.mark.parametrize(
    ("flag", "key"), [("--http", "url"), ("--metrics", "metrics"), ("--cluster", "cluster")]
)
def test_a_port_that_is_taken(node: NodeProcess, tmp_path: Path, flag: str, key: str) -> None:
    found = json.loads((node.data / "run" / "node.json").read_text())
    taken = f"127.0.0.1:{port_of(found[key])}"
    said = refusal(tmp_path / "other", flag, taken)
    assert said == Refusal(
        CONFIG,
        f"{taken} is taken by another process",
        f"give another address with {flag}",
    )
    # What it made before it knew is a sound directory: it starts as soon as the port is free.
    with running(tmp_path / "other") as other:
        assert other.ended(other.submit(cmd="true"))["state"] == "succeeded"


@pytest.mark.parametrize(
    ("flag", "address", "cause"),
    [
        ("--http", "8080", "http.bind '8080' is not HOST:PORT"),
        ("--http", "127.0.0.1:http", "http.bind '127.0.0.1:http' is not HOST:PORT"),
        ("--http", "127.0.0.1:65536", "http.bind '127.0.0.1:65536' is not HOST:PORT"),
        ("--cluster", "7800", "cluster.bind '7800' is not HOST:PORT"),
        ("--metrics", ":9090", "telemetry.metrics ':9090' is not HOST:PORT"),
        ("--metrics", "127.0.0.1:-1", "telemetry.metrics '127.0.0.1:-1' is not HOST:PORT"),
    ],
)
def test_what_is_no_address(tmp_path: Path, flag: str, address: str, cause: str) -> None:
    said = refusal(tmp_path / "data", flag, address)
    assert said == Refusal(CONFIG, cause, f"for example {flag} 127.0.0.1:8080")


def test_no_metrics(tmp_path: Path) -> None:
    """An empty address turns them off; it is not the default one."""
    with running(tmp_path / "data", "--metrics", "") as started:
        assert json.loads((started.data / "run" / "node.json").read_text())["metrics"] is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "[::]"])
def test_a_cluster_port_beyond_loopback(tmp_path: Path, host: str) -> None:
    said = refusal(tmp_path / "data", "--cluster", f"{host}:0")
    bound = f"cluster.bind {host.strip('[]')} is not loopback"
    cause = f"{bound}, and this node has no keys for other machines"
    assert said == Refusal(
        CONFIG, cause, "make keys with `jobd keys new`, or bind to 127.0.0.1 with --cluster"
    )


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    said = refusal(tmp_path / "data", "--http", "192.0.2.1:0")  # TEST-NET-1
    assert said.code == CONFIG
    assert said.cause.startswith("192.0.2.1:0 can't be bound: ")
    assert said.remedy == "give another address with --http"


def test_no_authentication_beyond_loopback(tmp_path: Path) -> None:
    said = refusal(tmp_path / "data", "--http", "0.0.0.0:0", "--insecure-no-auth")
    assert said == Refusal(
        CONFIG,
        "http.bind 0.0.0.0:0 is not loopback and authentication is off",
        "leave out --insecure-no-auth, or bind to 127.0.0.1",
    )


# -- data directories


def test_a_directory_in_use(node: NodeProcess) -> None:
    said = refusal(node.data)
    assert said == Refusal(
        DATA_DIRECTORY,
        f"the data directory {node.data} is in use by process {node.pid}",
        "stop that node, or give this one another directory with --data",
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory that a node has left, with a job in it."""
    with running(tmp_path / "data") as started:
        started.ended(started.submit(cmd="true"))
        assert started.stop() == 0
    return tmp_path / "data"


def changed(data: Path, name: str, content: str | None) -> dict[str, bytes]:
    """Damage a file; return the content of all others, which no refusal may touch."""
    file = data / name
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    return {str(f): f.read_bytes() for f in data.rglob("*") if f.is_file() and f.name != "lock"}


def test_directories_that_are_not_as_they_were(data: Path) -> None:
    """Each refused by name, untouched, and as good as before once it is mended."""
    sound = {name: (data / name).read_text() for name in ("format", "node.json")}
    version = "start it with the JobD version that wrote it"
    for name, content, cause, remedy in (
        (
            "format", "3\n",
            f"the data directory {data} has format '3', this node reads format 2", version,
        ),
        (
            "format", "\0\0\0",
            f"the data directory {data} has format '\\x00\\x00\\x00', this node reads format 2",
            version,
        ),
        (
            "format", None, f"{data} holds a log but no `format` file",
            "restore the file from a backup; this directory may be a partial copy",
        ),
        (
            "node.json", None, f"{data} holds a log but no `node.json`",
            "restore the file from a backup; a node must not lose its identity",
        ),
        (
            "node.json", "{", f"{data}/node.json is damaged: ",
            "restore it from a backup; its incarnation must not go back",
        ),
        (
            "node.json", '{"id": 7, "incarnation": 1}',
            f"{data}/node.json is damaged: id and incarnation have other types",
            "restore it from a backup; its incarnation must not go back",
        ),
    ):  # fmt: skip
        before = changed(data, name, content)
        said = refusal(data)
        assert (said.code, said.remedy) == (DATA_DIRECTORY, remedy)
        assert said.cause.startswith(cause)
        assert before == {p: Path(p).read_bytes() for p in before}
        (data / name).write_text(sound[name])
    with running(data) as mended:
        assert [job["state"] for job in mended.call("GET", "/jobs")["items"]] == ["succeeded"]


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    said = refusal(tmp_path / "data")
    assert said == Refusal(
        DATA_DIRECTORY,
        f"the data directory {tmp_path}/data can't be used: File exists",
        "give another one with --data, or mend its owner and permissions",
    )
    assert (tmp_path / "data").read_text() == "mine"


def test_a_directory_that_is_not_writable(data: Path, tmp_path: Path) -> None:
    """As nobody: root may write anywhere."""
    need("root", os.geteuid() == 0, "another user can only be become by root")
    open_to_all = Path("/tmp") / f"jobd-test-{os.getpid()}"  # nobody can't pass tmp_path
    open_to_all.mkdir(mode=0o755)
    try:
        shutil.copytree(data, open_to_all / "data", ignore=shutil.ignore_patterns("*.sock"))
        read_only = open_to_all / "data"
        for file in (read_only, *read_only.rglob("*")):
            file.chmod(0o755 if file.is_dir() else 0o644)
        for place, why in (
            (read_only, "Operation not permitted"),
            (open_to_all / "new", "Permission denied"),
        ):
            said = refusal(place, as_nobody=True)
            assert said == Refusal(
                DATA_DIRECTORY,
                f"the data directory {place} can't be used: {why}",
                "give another one with --data, or mend its owner and permissions",
            )
        # The directory is its own, a part of it isn't: refused just so, with what is in the way.
        os.chown(read_only, NOBODY, NOBODY)
        for part in ("lock", "run", "format", "node.json"):
            os.chown(read_only / part, NOBODY, NOBODY)
        said = refusal(read_only, as_nobody=True)
        assert said.code == DATA_DIRECTORY
        assert said.cause.startswith(f"the data directory {read_only} can't be used: ")
        assert said.cause.endswith(" is not writable")
        assert said.remedy == "give another one with --data, or mend its owner and permissions"
    finally:
        shutil.rmtree(open_to_all)


# -- configurations


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        ("nodes: {slots: 4}", "nodes (from FILE) is not a known section", "did you mean node?"),
        (
            "node: {slot: 4}",
            "node.slot (from FILE) is not a known key",
            "did you mean node.slots?",
        ),
        (
            "log: {colour: true}",
            "log.colour (from FILE) is not a known key",
            "did you mean log.",
        ),
        (
            "node: {slots: four}",
            "node.slots (from FILE): Expected `int`, got `str`",
            "give a whole number",
        ),
        (
            "node: {slots: true}",
            "node.slots (from FILE): Expected `int`, got `bool`",
            "give a whole number",
        ),
        (
            "node: {slots: -1}",
            "node.slots (from FILE): Expected `int` >= 0",
            "give a whole number",
        ),
        (
            "node: {labels: {zone: 1}}",
            "node.labels (from FILE): Expected `str`, got `int`",
            "give names with texts",
        ),
        (
            "storage: {engine: leveldb}",
            "storage.engine (from FILE): Invalid enum value 'leveldb'",
            "give one of sqlite, rocksdb, memory",
        ),
        (
            "node: 4",
            "FILE must hold sections with keys",
            "for example `node: {slots: 4}`",
        ),
        ("- node", "FILE must hold sections with keys", "for example `node: {slots: 4}`"),
        ("7: {a: 1}", "7 (from FILE) is not a known section", "known: "),
        ("node: {7: 1}", "node.7 (from FILE) is not a known key", "did you mean node."),
        ("node: {slots: 4", "FILE is not YAML: ", "mend the file"),
        ("node: {slots: 1}\nnode: {slots: 2}", "FILE is not YAML: ", "mend the file"),
        ("node: {name: !!python/object:os.system x}", "FILE is not YAML: ", "mend the file"),
        ("\0", "FILE is not YAML: ", "mend the file"),
    ],
)
def test_a_configuration_file(tmp_path: Path, text: str, cause: str, remedy: str) -> None:
    file = tmp_path / "jobd.yaml"
    file.write_text(text)
    said = refusal(tmp_path / "data", "--config", str(file))
    assert said.code == CONFIG
    assert said.cause.startswith(cause.replace("FILE", str(file)))
    assert said.remedy.startswith(remedy)
    assert not (tmp_path / "data").exists()


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    for file, why in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        said = refusal(tmp_path / "data", "--config", str(file))
        assert said == Refusal(
            CONFIG,
            f"the configuration {file} can't be read: {why}",
            "give a readable file with --config",
        )


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("JOBD_CFG_NODE__SLOTS", "many", "node.slots (from JOBD_CFG_NODE__SLOTS): Expected `int`"),
        ("JOBD_CFG_NODE__SLOTS", "", "node.slots (from JOBD_CFG_NODE__SLOTS): Expected `int`"),
        ("JOBD_CFG_NODE__SLOT", "4", "node.slot (from JOBD_CFG_NODE__SLOT) is not a known key"),
        ("JOBD_CFG_NODES__SLOTS", "4", "nodes (from JOBD_CFG_NODES__SLOTS) is not a known section"),
        ("JOBD_CFG_NODE", "4", "node (from JOBD_CFG_NODE) is not a known key"),
        ("JOBD_CFG_NODE__SLOTS__X", "4", "node.slots (from "),
        ("JOBD_CFG_AUTH__ENABLED", "off", "auth.enabled (from JOBD_CFG_AUTH__ENABLED): Expected"),
        ("JOBD_CFG_LOG__LEVEL", "loud", "log.level (from JOBD_CFG_LOG__LEVEL): Invalid enum"),
        ("JOBD_CFG_NODE__LABELS", "zone", "node.labels (from JOBD_CFG_NODE__LABELS): "),
    ],
)
def test_the_environment(tmp_path: Path, name: str, value: str, cause: str) -> None:
    said = refusal(tmp_path / "data", environment={name: value})
    assert said.code == CONFIG
    assert said.cause.startswith(cause)


@pytest.mark.parametrize(
    ("args", "cause", "remedy"),
    [
        (["--label", "zone"], "--label 'zone' is not K=V", "for example --label zone=a"),
        (["--label", "=a"], "--label '=a' is not K=V", "for example --label zone=a"),
        (["--http", ""], "http.bind '' is not HOST:PORT", "for example --http 127.0.0.1:8080"),
        (
            ["--data", ""],
            "node.data (from the command line): Expected `str` of length >= 1",
            "give",
        ),
        (["--name", "a b"], "node.name (from the command line): Expected `str`", "give a text"),
    ],
)
def test_flags(tmp_path: Path, args: list[str], cause: str, remedy: str) -> None:
    said = refusal(tmp_path / "data", *args)
    assert said.code == CONFIG
    assert said.cause.startswith(cause)
    assert said.remedy.startswith(remedy)
