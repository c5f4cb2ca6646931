"""Durations, sizes and moments."""

from __future__ import annotations

import pytest

from actors.core.spec.quantity import duration_ms, moment_ms, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10s", 10_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("250ms", 250),
        ("1.5h", 5_400_000),
        ("0.1s", 100),
        ("0s", 0),
        ("90m", 5_400_000),
    ],
)
def test_duration(text: str, expected: int) -> None:
    assert duration_ms(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "10", "s", "5m1h", "10 s", "10S", "-1s", "1h1h", "1e3s", "10s\n", ".5s", "9" * 16 + "s"],
)
def test_no_duration(text: str) -> None:
    assert duration_ms(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512MiB", 512 * 2**20),
        ("512MB", 512 * 10**6),
        ("16GiB", 2**34),
        ("1.5KiB", 1536),
        ("7B", 7),
        ("1kB", 1000),
        ("0.1GB", 10**8),
    ],
)
def test_size(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "512", "512M", "512Mi", "MiB", "1 MiB", "-1MiB", "1MiB\n"])
def test_no_size(text: str) -> None:
    assert size(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:01.5Z", 1_500),
        ("2026-12-01T09:00:00+01:00", 1_796_112_000_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_moment(text: str, expected: int) -> None:
    assert moment_ms(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01T09:00:00",  # no zone
        "2026-12-01",
        "2026-02-31T09:00:00Z",
        "2026-12-01T25:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-12-01T09:00:00+99:99",
        "9999-12-31T23:59:59-23:59",  # the year 10000 in UTC
        "tomorrow",
    ],
)
def test_no_moment(text: str) -> None:
    assert moment_ms(text) is None
