"""A part that is required may not be skipped."""

from __future__ import annotations

import pytest

from tests.parts import need


def test_an_available_part_lets_the_test_go_on() -> None:
    need("root", True, "unused")


def test_a_missing_part_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBD_REQUIRE", "root,cgroup")
    with pytest.raises(pytest.skip.Exception, match="needs redis: no redis-server here"):
        need("redis", False, "no redis-server here")


def test_a_missing_part_that_is_required_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBD_REQUIRE", "root,cgroup")
    with pytest.raises(pytest.fail.Exception, match="JOBD_REQUIRE names cgroup: read-only"):
        need("cgroup", False, "read-only")
