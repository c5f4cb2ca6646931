"""Generated pages say what the code says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from actors import errors, limits

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generator", ROOT / "scripts" / "docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_what_the_code_says() -> None:
    command = [sys.executable, "scripts/docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_limit_has_a_row(generator: ModuleType) -> None:
    page = generator.limits_page()
    names = [name for name in vars(limits) if name.isupper()]
    assert names
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_every_error_has_a_row_and_a_place_in_the_tree(generator: ModuleType) -> None:
    page = generator.errors_page()
    tree = page.partition("```text")[2].partition("```")[0]
    classes = [error for error in vars(errors).values() if isinstance(error, type)]
    names = [error.__name__ for error in classes if issubclass(error, errors.JobdError)]
    assert len(names) > 1
    for name in names:
        assert f"| `{name}` |" in page
        assert f" {name} " in f" {tree}".replace("\n", " "), f"{name} is not drawn in the tree"


def test_a_limit_without_its_behaviour_is_refused(generator: ModuleType) -> None:
    with pytest.raises(ValueError, match="TASKS"):
        list(generator.read_limits("TASKS: Final = 10_000\n"))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("VALUE_BYTES", 64 * 1024, "64 KiB"),
        ("KEY_BYTES", 512, "512 bytes"),
        ("KEEP_S", 7 * 24 * 3600, "168 h"),
        ("WAIT_S", 90, "90 s"),
        ("TASKS", 10_000, "10,000"),
    ],
)
def test_values_carry_their_unit(generator: ModuleType, name: str, value: int, told: str) -> None:
    assert generator.quantity(name, value) == told
