"""Job logs and artifacts of a simulated machine: what the ports promise, over its spool.

They fail as the files do: nothing is archived of an attempt that the spool does not show as exited,
and an output is taken only while it is there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from actors.core.ports import LogPage
from actors.errors import NotFound
from tests.sim.node.supervisor import Spool

__all__ = ["SimArtifacts", "SimJobLogs"]


class SimJobLogs:
    """A JobLogStore that knows which logs are archived."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.archived: set[str] = set()

    def read(
        self, attempt_key: str, from_seq: int = 0, limit: int = 1000, stream: int | None = None
    ) -> LogPage:
        return LogPage([], from_seq, attempt_key in self.archived, [])

    def archive(self, attempt_key: str) -> None:
        if attempt_key not in self._spool.exits and attempt_key not in self.archived:
            raise NotFound(f"{attempt_key} is not held as exited")
        self.archived.add(attempt_key)

    def delete(self, job_id: str) -> None:
        self.archived = {key for key in self.archived if key.split("/")[1] != job_id}

    def close(self) -> None:
        pass

    def shrink(self, needed_bytes: int) -> int:
        return 0

    def prune(self, now_ms: int, keep_s: int, keep_bytes: int) -> int:
        return 0


class SimArtifacts:
    """An ArtifactStore; taking moves the content out of the spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.kept: dict[tuple[str, int], bytes] = {}

    def take(self, job_id: str, task: int, path: Path) -> str:
        content = self._spool.outputs.pop(str(path), None)
        if content is not None:
            self.kept[job_id, task] = content
        elif (job_id, task) not in self.kept:
            raise NotFound(f"the output {path} is gone")
        return hashlib.sha256(self.kept[job_id, task]).hexdigest()

    def read(self, job_id: str, task: int) -> bytes:
        return self.kept[job_id, task]

    def path(self, job_id: str, task: int) -> Path | None:
        return Path(job_id) if (job_id, task) in self.kept else None

    def delete(self, job_id: str) -> None:
        self.kept = {key: content for key, content in self.kept.items() if key[0] != job_id}

    def prune(self, now_ms: int, keep_s: int, keep_bytes: int) -> int:
        return 0
