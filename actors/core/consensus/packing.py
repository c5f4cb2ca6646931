"""How the messages of a step are divided into packets.

A link takes messages up to half of ENVELOPE_BYTES; one that is larger would be dropped each time
that it is sent, and a replica would wait for it for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from actors.core.consensus.messages import Fetched, Message

__all__ = ["parts"]

_PACKET_BYTES: Final = 1024 * 1024  # without the statement; a single message may go over it
_MESSAGE_BYTES: Final = 128  # of one without its command


def parts(messages: Iterable[Message]) -> Iterator[tuple[Message, ...]]:
    """Yield messages by packets, in their order; at least one, which may be empty."""
    part: list[Message] = []
    size = 0
    for message in messages:
        own = _size(message)
        size += own
        if part and size > _PACKET_BYTES:
            yield tuple(part)
            part, size = [], own
        part.append(message)
    yield tuple(part)


def _size(message: Message) -> int:
    """Return about how many bytes a message takes."""
    if isinstance(message, Fetched):
        return sum(_MESSAGE_BYTES + len(command) for *_, command in message.commands)
    return _MESSAGE_BYTES + len(getattr(message, "command", b""))
