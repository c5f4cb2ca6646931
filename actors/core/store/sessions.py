"""Session tables: each (session, seq) has one answer, whoever asks and however often.

Rules (R1 of docs/internals/job-lifecycle.md):
S1  A transaction of a session is judged only while `session/<node>` is at that session's revision;
    otherwise it is `Stale`.
S2  An answer is kept, `Conflict` too, until the submitter says that it needs none below
    `done_below`; a seq below that is `Stale`, never judged again.
S3  A node's table goes when its session key changes.
"""

from __future__ import annotations

import msgspec

from actors.core.store.txn import Result, SessionRef, Stale

__all__ = ["SessionTables"]


class _Table(msgspec.Struct, array_like=True):
    number: int
    below: int
    answers: dict[int, Result]


class SessionTables:
    """What each open session was answered."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}

    def recall(self, ref: SessionRef, current: int) -> Result | None:
        """Return the answer to repeat, Stale, or None when the transaction is to be judged.

        `current` is the revision of the node's session key, 0 when there is none.
        """
        if ref.number != current:
            return Stale()
        table = self._tables.get(ref.node)
        if table is None:
            table = self._tables[ref.node] = _Table(ref.number, 0, {})
        if ref.done_below > table.below:
            for seq in range(table.below, ref.done_below):
                table.answers.pop(seq, None)
            table.below = ref.done_below
        answer = table.answers.get(ref.seq)
        if answer is None and ref.seq < table.below:
            return Stale()
        return answer

    def remember(self, ref: SessionRef, result: Result) -> None:
        """Keep an answer. A session that its own transaction ended has no table any more."""
        table = self._tables.get(ref.node)
        if table is not None and table.number == ref.number:
            table.answers[ref.seq] = result

    def drop(self, node: str) -> None:
        """Forget a node's table: its session key changed."""
        self._tables.pop(node, None)

    def dump(self) -> bytes:
        """Return the tables as bytes for the image."""
        return msgspec.msgpack.encode(self._tables)

    def load(self, data: bytes) -> None:
        """Take the tables of an image."""
        self._tables = msgspec.msgpack.decode(data, type=dict[str, _Table]) if data else {}
