"""Real parts that a machine may lack: a test that needs one skips, unless JOBD_REQUIRE names it."""

from __future__ import annotations

import os

import pytest

__all__ = ["need"]

PARTS = frozenset(
    {"browser", "cgroup", "docker", "fish", "fuse", "gpu", "netns", "redis", "registry", "rocksdb"}
    | {"root", "schemathesis", "tmux", "zsh"}
)


def need(part: str, available: bool, reason: str) -> None:
    """Skip the test where a part is not available; fail it where JOBD_REQUIRE says it must be.

    JOBD_REQUIRE is a comma list of PARTS; CI names what its machine has, so that a part which goes
    missing there can't pass as a skip.
    """
    assert part in PARTS, f"{part} is not a part that JOBD_REQUIRE can name"
    if available:
        return
    if part in os.environ.get("JOBD_REQUIRE", "").split(","):
        pytest.fail(f"JOBD_REQUIRE names {part}: {reason}")
    pytest.skip(f"needs {part}: {reason}")
