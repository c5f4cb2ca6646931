"""The import laws of setup.cfg hold, and each of them catches an import that breaks it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Where an import is planted, what it imports, and the law that must notice.
BREAKS = (
    ("actors/newcomer.py", "import jobd", "Doors know actors; actors know no door"),
    ("actors/model/planted.py", "import actors.core", "{runtime | core} -> model"),
    ("actors/core/planted.py", "import actors.runtime", "{runtime | core} -> model"),
    ("actors/core/planted.py", "import actors.newcomer", "Actor modules stand on top"),
    ("actors/runtime/planted.py", "from actors import newcomer", "Actor modules stand on top"),
    ("actors/backends/planted.py", "import actors.runtime", "Backends know the ports of core"),
    ("jobd/planted.py", "import actors.backends", "Only jobd.node.wiring imports backends"),
    ("actors/core/planted.py", "import time", "core and model know no clock"),
    ("actors/model/planted.py", "import os.path", "core and model know no clock"),
    ("jobd/node/planted.py", "import docker", "docker, quickjs, pynvml, duckdb only in"),
    ("actors/core/planted.py", "import zmq.asyncio", "zmq and pykka only in"),
    ("jobd/node/planted.py", "import aiohttp.web", "aiohttp only in jobd.http"),
    ("jobd/cli/planted.py", "import jobd.http", "HTTP, the client library and the command line"),
    ("jobd/api/planted.py", "import zmq", "The API knows no transport"),
)


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    environment = {"PYTHONPATH": str(root), "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def copy_product(root: Path) -> None:
    for package in ("actors", "jobd"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "setup.cfg", root)


def broken(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if " BROKEN" in line]


def test_the_laws_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_law_catches_its_breach(tmp_path: Path) -> None:
    copy_product(tmp_path)
    for name, statement, _ in BREAKS:
        path = tmp_path / name
        before = path.read_text("utf-8") if path.exists() else ""
        path.write_text(f"{before}\n{statement}\n", "utf-8")
    done = lint_imports(tmp_path)
    laws = broken(done)
    assert done.returncode == 1, done.stderr
    for _, statement, law in BREAKS:
        assert any(line.startswith(law) for line in laws), f"{statement}: {done.stdout}"
    for name in {name for name, _, _ in BREAKS}:
        assert name.removesuffix(".py").replace("/", ".") in done.stdout
