"""One of each frame that processes send each other, and what is known to be in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from actors.errors import ActorUnavailable
from actors.runtime import Inspect, Invoke, Terminated
from actors.runtime.envelope import VERSION, Envelope, Kind, encode_error, frame_of
from actors.runtime.header import DIRECT, Header, encode_header
from actors.runtime.hello import FEATURES, Hello, encode_hello
from actors.runtime.vocabulary import Vocabulary

__all__ = ["GOLDEN", "SOURCE", "batches", "frames", "golden", "messages"]

GOLDEN = Path(__file__).with_name("frames.txt")
SOURCE = Header(VERSION, "", "client-a", "token-1", ("read", "run"), 3)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BLOB = bytes(range(256)) * 300
HELLO = Hello("client-a", 3, 1, 1, "client", "c1", "jobd_id_secret", FEATURES, bytes(16), "")
CALL = Invoke("add", (1, "two", b"3", [4.5, None]), {"key": {"in": True}}, 9)
LARGE = Invoke("put", (BLOB,), {"also": BLOB})


def envelopes() -> dict[str, Envelope]:
    """Return the envelopes by name."""
    words = Vocabulary([])

    def envelope(kind: Kind, message: Any = None, **fields: Any) -> Envelope:
        name, raw, _ = words.encode(message)
        return Envelope(VERSION, int(kind), incarnation=3, **{"type": name, "body": raw, **fields})

    there, here = "jobd://n1/a", "jobd://client-a/b"
    error = encode_error(ActorUnavailable("it is lost", maybe_executed=True))
    return {
        "ask": envelope(
            Kind.ASK, CALL, corr=7, dst=there, src=here, deadline_ms=30_000, trace=TRACE
        ),
        "ask.blob": envelope(Kind.ASK, LARGE, corr=8, dst=there, src=here),
        "ask.stream": envelope(Kind.ASK, Inspect(), corr=9, dst=there, items=64, size=2**20),
        "cancel": envelope(Kind.CANCEL, corr=9, dst=there),
        "credit": envelope(Kind.CREDIT, corr=9, dst=there, items=32, size=1000),
        "error": envelope(Kind.ERROR, corr=7, dst=here, src=there, body=error),
        "gone": envelope(Kind.GONE, dst="client-b", body=error),
        "hello": envelope(Kind.HELLO, body=encode_hello(HELLO)),
        "item": envelope(Kind.ITEM, [1, "x"], corr=9, dst=here, src=there, items=5),
        "ping": envelope(Kind.PING),
        "reply": envelope(Kind.REPLY, {"sum": 3}, corr=7, dst=here, src=there),
        "tell": envelope(Kind.TELL, Terminated(here, "shutdown"), dst=there, src=here),
        "watch": envelope(Kind.WATCH, dst=there, src=here),
    }


def batches() -> dict[str, bytes]:
    """Return each envelope as a batch of its own."""
    return {name: frame_of([msgspec.msgpack.encode(each)]) for name, each in envelopes().items()}


def frames() -> dict[str, bytes]:
    """Return all frames by name."""
    return {
        "header.direct": DIRECT,
        "header.to": encode_header(Header(VERSION, "client-b")),
        "header.relayed": encode_header(SOURCE),
        **batches(),
    }


def messages() -> list[list[bytes]]:
    """Return whole messages, as a process sends them."""
    found = golden()
    blobs = [BLOB, BLOB]
    return [
        [header, batch, *(blobs if name == "ask.blob" else [])]
        for header in (found["header.direct"], found["header.to"], found["header.relayed"])
        for name, batch in found.items()
        if not name.startswith("header")
    ]


def golden() -> dict[str, bytes]:
    """Return the frames as they were when they were kept."""
    lines = (line.split(" ", 1) for line in GOLDEN.read_text().splitlines())
    return {name: bytes.fromhex(data) for name, data in lines}
