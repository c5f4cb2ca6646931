"""The operator's pages name every key, flag, exit code, metric and path that a node has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import click
import msgspec
import pytest

from jobd import __main__ as command
from jobd.config import Config, load
from tests.docs.pages import ROOT, table
from tests.integration.node_process import NodeProcess

RUN = (ROOT / "docs" / "operations" / "run-a-node.md").read_text("utf-8")
SYSTEMD = (ROOT / "docs" / "operations" / "systemd.md").read_text("utf-8")
METRICS = (ROOT / "docs" / "operations" / "metrics.md").read_text("utf-8")


def keys(section: msgspec.Struct | None = None, prefix: str = "") -> dict[str, object]:
    """Return every key of the configuration and its default."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(section := section or Config()):
        value = getattr(section, field.name)
        if isinstance(value, msgspec.Struct):
            found |= keys(value, f"{prefix}{field.name}.")
        else:
            found[prefix + field.name] = value
    return found


def test_every_key_has_a_row_with_its_default() -> None:
    rows = {name.strip("`"): default for name, default, _ in table(RUN, "key")}
    assert rows.keys() == keys().keys()
    for name, default in keys().items():
        if default:
            text = str(default).lower() if isinstance(default, bool) else default
            assert rows[name] == f"`{text}`", name


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n# /etc/jobd\.yaml\n(.*?)```", RUN, re.DOTALL)
    assert example
    file = tmp_path / "jobd.yaml"
    file.write_text(example[1])
    assert load(file, {}, {}).node.slots == 8


def test_every_flag_has_a_row() -> None:
    start = command.cli.get_command(click.Context(command.cli), "start")
    assert start is not None
    flags = {flag for option in start.params for flag in option.opts}
    cells = " ".join(row[0] for row in table(RUN, "flag"))
    assert set(re.findall(r"--[a-z-]+", cells)) == flags


def test_every_exit_code_has_a_row() -> None:
    codes = {int(row[0]) for row in table(RUN, "code")}
    assert codes == {0, 2, 70} | set(command._EXIT_CODES.values())


def test_every_path_of_a_data_directory_has_a_row(node: NodeProcess) -> None:
    listed = {
        name.rstrip("/") for row in table(RUN, "path") for name in re.findall(r"`([^`]+)`", row[0])
    }
    present = {path.name.removesuffix("-wal").removesuffix("-shm") for path in node.data.iterdir()}
    assert present <= listed
    # Made on first use.
    later = {"artifacts", "backups", "history", "incoming", "keys", "outgoing", "state.rocksdb"}
    assert listed - present <= later, "paths that no node has"


def test_every_metric_has_a_row_of_its_type(node: NodeProcess) -> None:
    # A labelled metric is served once it has been counted.
    jobctl = [sys.executable, "-m", "jobd.cli", "--data", str(node.data)]
    for program, code in (("true", 0), ("false", 1)):
        assert subprocess.run([*jobctl, "run", "--", program], check=False).returncode == code
    address = json.loads((node.data / "run" / "node.json").read_text())["metrics"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    served = {name: type_ for name, type_ in types.items() if not name.endswith("_created")}
    assert {row[0].strip("`"): row[1] for row in table(METRICS, "metric")} == served
    for name, _, labels, _ in table(METRICS, "metric"):
        samples = re.findall(rf"^{name.strip('`')}(?:_count)?{{([^}}]*)}}", text, re.MULTILINE)
        found = {label for sample in samples for label in re.findall(r"(\w+)=", sample)}
        assert found == set(re.findall(r"\w+", labels)), name


def test_the_unit_is_one(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    found = re.search(r"```ini\n(.*?)```", SYSTEMD, re.DOTALL)
    assert found
    unit = tmp_path / "jobd.service"
    unit.write_text(found[1].replace("/usr/local/jobd/bin/jobd", "/bin/true"))
    done = subprocess.run([verify, "verify", unit], capture_output=True, text=True, check=False)
    wrong = [line for line in done.stderr.splitlines() if "DelegateSubgroup" not in line]
    assert wrong == []
