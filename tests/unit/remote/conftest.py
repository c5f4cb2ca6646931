"""Each test has a process of its own: its actors end with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.runtime.remote import process


@pytest.fixture(autouse=True)
def _own_process() -> Iterator[None]:
    yield
    process.end()
