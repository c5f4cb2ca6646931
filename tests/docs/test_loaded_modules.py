"""What core, model and the command line really load, which import contracts can't see.

A contract follows imports by name inside this repository; a library that starts a thread pool or
pulls in a socket is seen only by running.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

OUTSIDE = {"aiohttp", "docker", "duckdb", "pykka", "sqlite3", "uvloop", "zmq"}
IMPURE = OUTSIDE | {"asyncio", "multiprocessing", "random", "selectors", "socket", "subprocess"}
HEAVY = OUTSIDE | {"asyncio", "hypothesis", "jsonschema", "prometheus_client", "yaml"}

LOAD = """
import importlib, pkgutil, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        importlib.import_module(found.name)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def loaded(*names: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter loads for modules and all below."""
    command = [sys.executable, "-c", LOAD, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("name", ["actors.errors", "actors.limits", "actors.model", "actors.core"])
def test_decisions_load_nothing_of_the_outside(name: str) -> None:
    modules = loaded(name)
    assert "actors" in modules
    assert not modules & IMPURE


def test_the_command_line_loads_nothing_heavy() -> None:
    modules = loaded("jobd.cli.__main__")
    assert "jobd" in modules
    assert not modules & HEAVY


def test_the_client_library_loads_no_part_of_a_node() -> None:
    modules = loaded("jobd.client")
    assert "zmq" in modules
    assert not modules & (HEAVY - {"asyncio", "pykka", "zmq"})


def test_the_history_process_loads_no_more_than_it_needs() -> None:
    code = "import jobd.node.wiring.history, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name.partition(".")[0] for name in done.stdout.split()}
    assert {"duckdb", "zmq", "pykka"} <= modules
    heavy = {"aiohttp", "cryptography", "docker", "numpy", "pandas", "prometheus_client", "yaml"}
    assert not modules & heavy
