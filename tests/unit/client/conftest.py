"""A door for each test, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobd.client import Client
from tests.unit.client.door import Door, served_door


@pytest.fixture
def door() -> Iterator[Door]:
    with served_door() as one:
        yield one


@pytest.fixture
def client(door: Door) -> Iterator[Client]:
    with Client(door.address, token=door.token, timeout_s=5) as one:
        yield one
