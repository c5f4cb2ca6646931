"""What a module lists in `__all__` is there, once; ruff keeps the list sorted."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import actors
import jobd


def product_modules() -> Iterator[str]:
    """Yield every module of the product but the `__main__`s, which are run and not imported."""
    for package in (actors, jobd):
        yield package.__name__
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield found.name


@pytest.mark.parametrize("name", list(product_modules()))
def test_exports_exist_once(name: str) -> None:
    module = importlib.import_module(name)
    listed: list[str] = getattr(module, "__all__", [])
    missing = [export for export in listed if not hasattr(module, export)]
    assert not missing, f"{name}.__all__ names what the module lacks"
    assert len(listed) == len(set(listed)), f"{name}.__all__ names something twice"
