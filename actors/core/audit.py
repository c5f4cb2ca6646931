"""The audit trail: who did or was refused what, each record chained to the one before.

A record is a line of JSON. It names the SHA-256 of the line before it (`prev`), so that nobody
changes, drops or inserts one without breaking every link behind it; a number (`n`, dense) says how
many there were. What a chain can't show is that its end was cut off: keep `n` and digest of its
head elsewhere now and then, and have them looked for (`verify` with what was kept).

Rules
1. Every operation that changes something leaves one record, with its outcome; so does every refusal
   for a credential, a scope, a host or an origin.
2. A record never holds a value: of arguments there is a digest, of what is confidential not even
   that.
3. Refusals need no credential, so they are counted rather than written, once they repeat: within
   WINDOW_MS at most AUDIT_REFUSALS records, and one each for the repeats when it is over.
4. The oldest segments go by a record that has the digest of the last line which went: the chain
   stays whole over it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import msgspec

from actors import limits

__all__ = [
    "GENESIS",
    "PRUNED",
    "WINDOW_MS",
    "AuditDraft",
    "AuditRecord",
    "Chain",
    "Head",
    "Refusals",
    "Verdict",
    "Walk",
    "decode_line",
    "digest_of",
]

GENESIS: Final = "0" * 64
PRUNED: Final = "prune_audit"
WINDOW_MS: Final = 60_000
_OTHERS: Final = "(others)"

Decision = Literal["allowed", "denied"]


class AuditDraft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of an operation; time is Unix milliseconds."""

    time_ms: int
    operation: str
    decision: Decision
    outcome: str = ""  # `ok`, or the code of what it failed with or was refused for
    actor: str = ""  # the token's id; empty: nobody known
    name: str = ""  # the token's name at that time
    subject: str = ""  # what it was about: the path below the API's prefix
    door: str = ""
    remote: str = ""
    request: str = ""  # the request's id, as in the answer and in the node's log
    args: str = ""  # SHA-256 of the body, unless that is confidential
    count: int = 1  # a refusal's: so many of them since the last record


class AuditRecord(AuditDraft, frozen=True, kw_only=True, omit_defaults=True):
    """A draft in its place in the chain."""

    n: int
    prev: str


class Head(NamedTuple):
    """The end of a chain: how many records there were, and the digest of the last one."""

    n: int = 0
    digest: str = GENESIS


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk over the chain found; `problem` is empty when it is whole."""

    records: int
    first: int
    head_n: int
    head_digest: str
    problem: str = ""


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(AuditRecord)


def digest_of(line: bytes) -> str:
    """Return the digest of a line without its end."""
    return hashlib.sha256(line).hexdigest()


def decode_line(line: bytes) -> AuditRecord:
    """Return the record of a line. Raises ValueError for what is none."""
    return _DECODER.decode(line)


class Chain:
    """Writes records at a chain's end."""

    def __init__(self, head: Head) -> None:
        self.head = head

    def extend(self, drafts: Iterable[AuditDraft]) -> tuple[bytes, Head]:
        """Return the lines of some drafts and where the chain ends behind them.

        It ends there once `head` is set to that, when the lines are written.
        """
        n, digest = self.head
        lines = []
        for draft in drafts:
            n += 1
            record = AuditRecord(n=n, prev=digest, **msgspec.structs.asdict(draft))
            line = _ENCODER.encode(record)
            digest = digest_of(line)
            lines.append(line + b"\n")
        return b"".join(lines), Head(n, digest)


class Walk:
    """Follows a chain, line by line; `kept` is a head that was noted elsewhere."""

    def __init__(self, kept: Head | None = None) -> None:
        self._kept = kept
        self._first = 0
        self._start = GENESIS  # what the first line names as its predecessor
        self._head = Head()
        self._pruned = Head()
        self._met_kept = kept is None
        self.problem = ""

    def take(self, line: bytes, where: str) -> None:
        """Take the next line; the first problem stands."""
        if self.problem:
            return
        try:
            record = decode_line(line)
        except ValueError as error:
            self.problem = f"{where}: no record: {error}"
            return
        if not self._first:
            self._first, self._start = record.n, record.prev
        elif record.prev != self._head.digest:
            self.problem = f"{where}: record {record.n} does not follow the one before it"
        elif record.n != self._head.n + 1:
            self.problem = f"{where}: record {record.n} follows {self._head.n}"
        self._head = Head(record.n, digest_of(line))
        if record.operation == PRUNED and record.subject.isdecimal():
            self._pruned = Head(int(record.subject), record.args)
        self._met_kept = self._met_kept or self._head == self._kept

    def verdict(self) -> Verdict:
        """Say what was found, at the chain's end."""
        return Verdict(
            records=self._head.n - self._first + 1 if self._first else 0,
            first=self._first,
            head_n=self._head.n,
            head_digest=self._head.digest,
            problem=self.problem or self._missing(),
        )

    def _missing(self) -> str:
        before = Head(max(self._first - 1, 0), self._start)
        if before not in (Head(), self._pruned):
            return f"the records before {self._first} are missing, and retention did not drop them"
        if not self._met_kept and self._kept is not None:
            return f"there is no record {self._kept.n} with the digest {self._kept.digest}"
        return ""


class Refusals:
    """Counts what repeats within a window. Bounded, whatever comes."""

    def __init__(self) -> None:
        self._since_ms = 0
        self._repeats: dict[tuple[str, ...], AuditDraft] = {}  # the last of a kind, and how many
        self._others = 0

    @property
    def is_open(self) -> bool:
        """Whether a window is open that has to be ended."""
        return bool(self._repeats)

    def take(self, draft: AuditDraft) -> list[AuditDraft]:
        """Take a refusal; return what is to be written now."""
        out = self.end(draft.time_ms)
        if not self._repeats:
            self._since_ms = draft.time_ms
        kind = (draft.door, draft.remote, draft.actor, draft.outcome)
        known = self._repeats.get(kind)
        if known is not None:
            self._repeats[kind] = msgspec.structs.replace(draft, count=known.count + 1)
        elif len(self._repeats) < limits.AUDIT_REFUSALS:
            self._repeats[kind] = msgspec.structs.replace(draft, count=0)
            out.append(draft)
        else:
            self._others += 1
        return out

    def end(self, now_ms: int) -> list[AuditDraft]:
        """Return the repeats of a window that is over."""
        if not self._repeats or 0 <= now_ms - self._since_ms < WINDOW_MS:
            return []
        repeats = [draft for draft in self._repeats.values() if draft.count]
        if self._others:
            repeats.append(
                AuditDraft(
                    time_ms=now_ms,
                    operation=_OTHERS,
                    decision="denied",
                    outcome=_OTHERS,
                    count=self._others,
                )
            )
        self._repeats, self._others = {}, 0
        return repeats
