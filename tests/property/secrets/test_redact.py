"""The redactor against a search of the whole stream, wherever its pieces are cut."""

from __future__ import annotations

import base64
import json
import urllib.parse

from hypothesis import given
from hypothesis import strategies as st

from actors.core.redact import MASK, SHORTEST, WINDOW, Redactor
from actors.core.secret_forms import forms_of

# Few letters, so that patterns overlap, nest, repeat and are begun in vain.
_PATTERNS = st.lists(st.text("ab\n", min_size=1, max_size=12).map(str.encode), max_size=5)
_PIECES = st.lists(st.text("ab\nc", max_size=30).map(str.encode), max_size=12)
_SECRETS = st.text(st.characters(codec="utf-8"), min_size=6, max_size=200).filter(
    lambda text: len(text.strip().encode()) >= SHORTEST and not {"*", "\0"} & set(text)
)


def brute_force(patterns: list[bytes], stream: bytes) -> bytes:
    """Mask every byte of every occurrence, one by one; a run of masked ones is one MASK."""
    masked = [False] * len(stream)
    for pattern in patterns:
        if len(pattern) < SHORTEST:
            continue
        for start in range(len(stream)):
            if stream.startswith(pattern, start):
                masked[start : start + len(pattern)] = [True] * len(pattern)
    out = bytearray()
    for i, hidden in enumerate(masked):
        if not hidden:
            out.append(stream[i])
        elif i == 0 or not masked[i - 1]:
            out += MASK
    return bytes(out)


@given(_PATTERNS, _PIECES)
def test_the_pieces_say_what_a_search_of_the_whole_says(
    patterns: list[bytes], pieces: list[bytes]
) -> None:
    redactor = Redactor(patterns)
    out = b"".join([redactor.feed(piece) for piece in pieces]) + redactor.close()
    assert out == brute_force(patterns, b"".join(pieces))


@given(_PATTERNS, _PIECES)
def test_no_more_is_held_back_than_a_pattern_begins_with(
    patterns: list[bytes], pieces: list[bytes]
) -> None:
    redactor = Redactor(patterns)
    told = 0
    stream = b""
    for piece in pieces:
        stream += piece
        told += len(redactor.feed(piece))
        begun = [
            size
            for pattern in patterns
            if len(pattern) >= SHORTEST
            for size in range(1, len(pattern))
            if stream.endswith(pattern[:size])
        ]
        settled = stream[: len(stream) - max(begun, default=0)]
        assert told >= len(brute_force(patterns, stream)) - len(stream) + len(settled) - len(MASK)
        assert redactor.has_held <= bool(begun)


@given(st.integers(SHORTEST, 200), st.lists(st.integers(1, 40), min_size=1), st.data())
def test_what_a_flush_showed_is_all_that_is_ever_seen(
    size: int, cuts: list[int], data: st.DataObject
) -> None:
    secret = bytes(range(48, 48 + min(size, 70))) + bytes(
        data.draw(st.integers(128, 255)) for _ in range(size - 70)
    )
    stream = b"<<" + secret + b">>"
    pieces: list[bytes] = []
    while stream:
        cut = cuts[len(pieces) % len(cuts)]
        pieces.append(stream[:cut])
        stream = stream[cut:]
    redactor = Redactor([secret])
    out = b"".join([redactor.feed(piece) + redactor.flush() for piece in pieces])
    out += redactor.close()
    seen = out.removeprefix(b"<<").removesuffix(b">>")
    assert seen.endswith(MASK)
    assert len(seen.removesuffix(MASK)) < SHORTEST


@given(_SECRETS, st.binary(max_size=5), st.binary(max_size=5))
def test_every_encoding_of_a_secret_is_masked(secret: str, before: bytes, after: bytes) -> None:
    core = secret.strip()
    for text in (
        core.encode(),
        urllib.parse.quote(core).encode(),
        urllib.parse.quote_plus(core).encode(),
        urllib.parse.quote(core, safe="").lower().encode() if core.islower() else core.encode(),
        json.dumps(core)[1:-1].encode(),
        json.dumps(core, ensure_ascii=False)[1:-1].encode(),
    ):
        redactor = Redactor(forms_of(secret))
        assert redactor.feed(b"\0" + text + b"\0") + redactor.close() == b"\0***\0"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        plain, hidden = encode(before + core.encode() + after), Redactor(forms_of(secret))
        out = hidden.feed(plain) + hidden.close()
        assert MASK in out
        # What is left tells of the neighbours, and at most of four bits of the value's own end.
        front, back = out.split(MASK)[0], out.split(MASK)[-1]
        assert len(front) <= -(-len(before) * 8 // 6)
        assert len(back) <= -(-len(after) * 8 // 6) + 3


@given(st.binary(min_size=WINDOW + 1, max_size=700))
def test_a_long_secret_is_masked_in_the_lines_that_base64_writes(raw: bytes) -> None:
    secret = raw.hex()
    wrapped = base64.encodebytes(secret.encode())
    redactor = Redactor(forms_of(secret))
    out = redactor.feed(wrapped) + redactor.close()
    assert set(out.split()[:-1]) == {MASK}
