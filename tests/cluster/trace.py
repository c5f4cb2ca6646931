"""What clients of a cluster did and were told, in one place, for the checks behind it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import IO, Any

from tests.sim.consensus.linearizable import Operation

__all__ = ["Trace"]


class Trace:
    """Filled by many threads. With a file, every entry is a line of JSON there too."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file: IO[str] | None = file.open("a", encoding="utf-8") if file else None
        self.operations: list[Operation] = []
        self.jobs: dict[str, bool] = {}  # accepted, by id: whether it is idempotent
        self.counts: Counter[str] = Counter()

    def did(self, operation: Operation) -> None:
        """Note a client's operation."""
        how = "unknown" if operation.returned is None else "ok" if operation.ok else "not held"
        with self._lock:
            self.operations.append(operation)
            self.counts[f"{operation.kind} {how}"] += 1
        self.write("operation", **operation._asdict())

    def refused(self, kind: str, why: str) -> None:
        """Count what surely was not done."""
        with self._lock:
            self.counts[f"{kind} refused: {why}"] += 1

    def accepted(self, job_id: str, *, idempotent: bool) -> None:
        """Note a job that a node has taken."""
        with self._lock:
            again = job_id in self.jobs
            self.jobs[job_id] = idempotent
            self.counts["jobs answered again" if again else "jobs accepted"] += 1
        self.write("job", id=job_id, idempotent=idempotent)

    def write(self, entry: str, /, **line: Any) -> None:
        """Write a line to the file, if there is one."""
        if self._file is not None:
            text = json.dumps({"entry": entry, **line}, default=str) + "\n"
            with self._lock:
                self._file.write(text)
                self._file.flush()

    def taken(self) -> list[Operation]:
        """Return the operations so far and forget them; no key of them may be used again."""
        with self._lock:
            found, self.operations = self.operations, []
        return found

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
