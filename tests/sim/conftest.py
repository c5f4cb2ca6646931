"""Simulations fill the cores by themselves, and make much that they keep for a run."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterator
from multiprocessing.pool import Pool

import pytest


@pytest.fixture(scope="session", autouse=True)
def seldom_collected() -> Iterator[None]:
    """Look for cycles seldom, and not among what is imported."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """A process a core; a test's seeds, bugs or boundaries are shared among them."""
    with multiprocessing.get_context("fork").Pool() as pool:
        yield pool
