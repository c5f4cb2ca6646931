"""These tests hand actors what no process could send (effects, closures), so none is strict."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _loose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBD_STRICT_SERIALIZE", raising=False)
