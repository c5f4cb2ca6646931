"""A facade for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.http.facade import Facade, facade


@pytest.fixture
def served() -> Iterator[Facade]:
    with facade() as one:
        yield one
