"""How the messages of a step are divided into packets.

A link takes messages up to half of ENVELOPE_BYTES; one that is larger would be dropped each time
that it is sent, and a replica would wait for it for ever.
"""

from __future__ import annotations

from typing import Final

from actors.core.consensus.messages import Fetched, Message

__all__ = ["parts"]

_PACKET_BYTES: Final = 1024 * 1024  # without the statement; a single message may go over it
_MESSAGE_BYTES: Final = 128  # of one without its command


def parts(messages: list[Message]) -> list[tuple[Message, ...]]:
    """Return messages by packets, in their order; at least one, which may be empty."""
    if len(messages) < 2:
        return [tuple(messages)]
    packets: list[tuple[Message, ...]] = []
    part: list[Message] = []
    size = 0
    for message in messages:
        own = _size(message)
        size += own
        if part and size > _PACKET_BYTES:
            packets.append(tuple(part))
            part, size = [], own
        part.append(message)
    packets.append(tuple(part))
    return packets


def _size(message: Message) -> int:
    """Return about how many bytes a message takes."""
    if isinstance(message, Fetched):
        return sum(_MESSAGE_BYTES + len(command) for *_, command in message.commands)
    return _MESSAGE_BYTES + len(getattr(message, "command", b""))
