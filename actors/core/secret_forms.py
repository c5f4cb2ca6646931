"""How a secret may look in a log: as it is, line by line, and as the usual encodings write it.

Encodings are base64 (RFC 4648, both alphabets, wherever the value lies in what is encoded), percent
encoding (RFC 3986, and with `+` for a blank) and JSON text. Nothing here is a guard against a job
that wants to tell its secret: it can always write it backwards.

Only what the job supervisor has loaded anyway is used: its size is that of every job's fork.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Final

import msgspec

__all__ = ["forms_of"]

_LINE: Final = 8  # a shorter line of a longer value is too common a text
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)
# What encoders leave as it is beside the unreserved: Python's quote, encodeURIComponent.
_LEFT: Final[tuple[frozenset[int], ...]] = (frozenset(), frozenset(b"/"), frozenset(b"!'()*"))
_URL_ALPHABET: Final = bytes.maketrans(b"+/", b"-_")


def forms_of(value: str) -> set[bytes]:
    """Return the texts that tell a value; blanks and line ends around it don't count."""
    core = value.strip()
    raw = core.encode()
    forms = {raw, *_base64(raw), *_percent(raw), *_json(core)}
    lines = [line.strip() for line in raw.splitlines()]
    if len(lines) > 1:
        forms.update(line for line in lines if len(line) >= _LINE)
    return forms


def _base64(raw: bytes) -> Iterator[bytes]:
    """Yield what base64 makes of the value behind 0, 1 or 2 bytes of a group of three.

    The characters that also tell of a neighbour are left out in front; at the end there are two
    forms: without the last of them where something follows, with it and its padding where not.
    """
    for before in range(3):
        encoded = binascii.b2a_base64(bytes(before) + raw, newline=False)
        first = -(-before * 8 // 6)
        whole = (before + len(raw)) * 8 // 6
        for form in (encoded[first:whole], encoded[first:]):
            yield form
            yield form.translate(_URL_ALPHABET)


def _percent(raw: bytes) -> Iterator[bytes]:
    for left in _LEFT:
        kept = _UNRESERVED | left
        for style in ("%%%02X", "%%%02x"):
            encoded = "".join([chr(byte) if byte in kept else style % byte for byte in raw])
            yield encoded.encode()
            yield encoded.replace("%20", "+").encode()


def _json(core: str) -> Iterator[bytes]:
    """Yield the value within a JSON text: in UTF-8, and in ASCII as Python writes it."""
    text = msgspec.json.encode(core)[1:-1]
    yield text
    yield text.replace(b"/", b"\\/")
    yield b"".join([_ascii(char) for char in text.decode()])


def _ascii(char: str) -> bytes:
    if " " <= char <= "~":
        return char.encode()
    units = char.encode("utf-16-be")
    return b"".join([b"\\u" + units[i : i + 2].hex().encode() for i in range(0, len(units), 2)])
