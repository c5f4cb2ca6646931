"""What the node says of itself on stderr: one line for each record, JSON or for a person.

A JSON line has the ids of the trace that it belongs to, where there is one.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from actors.model.trace import SpanContext
from actors.runtime.trace import CURRENT

__all__ = ["configure"]

_PRETTY = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = SpanContext.parse(CURRENT.get() or "")
        if trace is not None:
            line |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(level: str, format_: str) -> None:
    """Send the process's log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if format_ == "json" else logging.Formatter(_PRETTY))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
