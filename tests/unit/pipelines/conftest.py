"""A facade for each test."""

from __future__ import annotations

from tests.unit.http.conftest import served

__all__ = ["served"]
