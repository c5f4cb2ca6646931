"""Identity: what tells a process from others, and each of its links from those before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Identity"]


class Identity(NamedTuple):
    """Who a process is to a node and to other processes.

    `key` proves that it is the same process. Each link takes the next of `incarnations`: a link
    numbers its questions from 1, and remembers whose it has answered, so whoever took it for the
    one before would give it that one's answers, or have it answer twice.
    """

    process: str
    key: bytes
    incarnations: Iterator[int]
