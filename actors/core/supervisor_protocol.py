"""Messages between a node and its job supervisor, and their frames on the socket.

A frame is `[u32 length, big endian][msgpack]`: an array whose first item is the message's name.
Arrays only grow at their end, so either side may be the older one within one `VERSION`.

Rules
1. A connection opens with `Hello`; until `Welcome` came back, nothing else is read from it.
2. The newest `Hello` owns the supervisor: frames of an older incarnation, and of an older
   connection of the same one, are refused from then on, also those still in their socket.
3. Every message to the supervisor may be repeated; the answer then tells what is so.
4. `Listing` may come in parts (`more`), so that no frame passes `FRAME_BYTES`.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Literal

import msgspec

from actors.errors import InvalidInput, TooLarge
from actors.limits import ENVELOPE_BYTES

__all__ = [
    "FRAME_BYTES",
    "VERSION",
    "Ack",
    "CgroupMode",
    "ExitReason",
    "ExitRecord",
    "Exited",
    "Frame",
    "FrameReader",
    "Held",
    "HeldState",
    "Hello",
    "Kill",
    "Launch",
    "ListHeld",
    "Listing",
    "NodeFrame",
    "Output",
    "Refused",
    "SecretValues",
    "Signal",
    "Start",
    "Started",
    "SupervisorFrame",
    "Welcome",
    "encode_frame",
]

VERSION: Final = 1
FRAME_BYTES: Final = ENVELOPE_BYTES
_LENGTH: Final = struct.Struct(">I")

CgroupMode = Literal["v2", "hybrid", "none"]
HeldState = Literal["registered", "running", "exited"]
ExitReason = Literal["exit", "signal", "timeout", "idle_timeout", "oom", "killed", "spawn", "lost"]


class SecretValues(msgspec.Struct, frozen=True, array_like=True):
    """Opened secrets by their variables. They pass through a socket and memory, never a file."""

    by_variable: dict[str, str] = {}

    def __repr__(self) -> str:
        """Name the variables only: what is printed may end in a log."""
        return f"SecretValues({', '.join(self.by_variable)})"


class Launch(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What to spawn and within which bounds. 0 or None: no bound of that kind.

    The job sees PATH, HOME, LANG and TZ of the supervisor, then `secrets` and `environment`, then
    JOBD_OUTPUT (a file to write its result to), JOBD_INPUT (if there is an input) and
    JOBD_ATTEMPT_KEY. Secrets are masked in its log, and not let into its inline output.
    """

    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    cwd: str | None = None  # None: a directory of its own, which goes with the spool
    user: str | None = None
    umask: int = 0o077
    kill_signal: str = "TERM"
    kill_grace_ms: int = 10_000  # used by the supervisor's own kills; `Kill` brings its own
    input_json: bytes | None = None
    stdin_input: bool = False  # stdin reads the input instead of /dev/null
    timeout_ms: int = 0
    idle_timeout_ms: int = 0  # since the last byte on stdout or stderr
    memory_bytes: int = 0
    cpu_milli: int = 0
    nofile: int | None = None
    fsize_bytes: int | None = None
    nproc: int | None = None
    log_bytes: int = 0  # kept of stdout and stderr together
    line_bytes: int = 0  # a longer line is cut into pieces
    output_bytes: int = 0  # a larger $JOBD_OUTPUT ends the attempt
    secrets: SecretValues = SecretValues()
    refusal: str = ""  # why it can't be launched: it is registered and ends, and nothing is spawned


class ExitRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How an attempt ended. Times are Unix milliseconds.

    `reason` is the first cause: a job that catches TERM and exits 0 after its timeout has reason
    `timeout` and code 0. `detail` is one sentence for a person.
    """

    reason: ExitReason
    code: int | None = None
    signal: int | None = None
    detail: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    cpu_ms: int = 0
    max_rss_bytes: int = 0
    log_seq: int = 0  # all log records below it exist
    output: bytes | None = None  # last non-empty line of $JOBD_OUTPUT, if it fits inline
    output_size: int = 0
    output_path: str | None = None  # where it is when it doesn't
    output_error: str = ""
    kill_reason: str = ""  # as given in `Kill`
    log_dropped_bytes: int = 0  # beyond log_bytes


class Held(msgspec.Struct, frozen=True, array_like=True):
    """One attempt that the supervisor holds."""

    attempt: str
    fence: int
    state: HeldState
    exit: ExitRecord | None = None
    log_seq: int = 0


# -- node to supervisor


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The node process introduces itself; `incarnation` is durable and grows with each boot."""

    version: int
    node_id: str
    incarnation: int


class Start(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Hold and spawn this attempt; known already: say how it stands."""

    attempt: str
    fence: int
    launch: Launch


class Kill(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """End it: its kill signal, `grace_ms`, then SIGKILL to its whole tree."""

    attempt: str
    reason: str
    grace_ms: int


class Signal(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Send a signal to its process group."""

    attempt: str
    signal: int


class ListHeld(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Ask for a `Listing`."""


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The store shows the attempt gone: an exited one may be forgotten with its spool."""

    attempt: str


# -- supervisor to node


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The supervisor introduces itself; `instance` is new with each supervisor process.

    One of an earlier release, which goes on over an upgrade, does not mask what it writes.
    """

    version: int
    instance: str
    boot_id: str
    cgroup: CgroupMode
    pid: int
    masks_secrets: bool = False


class Listing(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Everything held; with `more`, a part of it."""

    held: tuple[Held, ...]
    more: bool = False


class Started(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """It runs. (pid, start_ticks, boot) names a process for good."""

    attempt: str
    pid: int
    start_ticks: int
    started_ms: int


class Output(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """New log records below `next_seq` can be read."""

    attempt: str
    next_seq: int


class Exited(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """It ended and nothing of its tree is left."""

    attempt: str
    exit: ExitRecord


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """This connection is of no use any more, and why."""

    reason: str


NodeFrame = Hello | Start | Kill | Signal | ListHeld | Ack
SupervisorFrame = Welcome | Listing | Started | Output | Exited | Refused
Frame = NodeFrame | SupervisorFrame

_ENCODER: Final = msgspec.msgpack.Encoder()


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of a frame. Raises TooLarge above `FRAME_BYTES`."""
    body = _ENCODER.encode(frame)
    if len(body) > FRAME_BYTES:
        raise TooLarge(f"a {type(frame).__name__} of {len(body)} bytes is above {FRAME_BYTES}")
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a byte stream into frames of one side. After an error the stream is lost."""

    def __init__(self, side: Any) -> None:
        self._decoder = msgspec.msgpack.Decoder(side)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Return the frames that are complete now.

        Raises TooLarge for a length above `FRAME_BYTES` (before its bytes are awaited) and
        InvalidInput for bytes that are no message of this side.
        """
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > FRAME_BYTES:
                raise TooLarge(f"a frame of {length} bytes is above {FRAME_BYTES}")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            try:
                frames.append(self._decoder.decode(self._buffer[start + _LENGTH.size : end]))
            except (msgspec.DecodeError, RecursionError) as error:
                raise InvalidInput(f"not a frame of the job supervisor protocol: {error}") from None
            start = end
        del self._buffer[:start]
        return frames
