"""Spans on their way out, by OTLP over HTTP: a bounded queue and a thread behind it.

Nothing ever waits for it. What finds the queue full, or what the receiver does not take, is
dropped and counted. The library is the extra `otel`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from actors import limits
from actors.errors import ConfigError
from jobd.span import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["SpanExport", "open_export"]

_log: Final = logging.getLogger(__name__)
_BATCH: Final = 512  # spans a request
_GATHER_S: Final = 1.0
_TIMEOUT_S: Final = 5.0
_KEY: Final = "telemetry.otlp_endpoint"


class SpanExport(Collector):
    """Takes spans from the loop; `exporter` is OpenTelemetry's, None when there is nowhere to go.

    It is a collector too: of what went out and what was dropped.
    """

    def __init__(self, exporter: Any = None, make: Any = None) -> None:
        self._exporter = exporter
        self._make = make
        self._queue: Queue[Span | None] = Queue(limits.SPANS_WAITING)
        self._exported = self._dropped = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        if exporter is not None:
            self._thread.start()

    def record(self, span: Span) -> None:
        """Queue a span; never waits."""
        if self._exporter is None:
            return
        try:
            self._queue.put_nowait(span)
        except Full:
            self._dropped += 1

    def close(self, timeout_s: float) -> None:
        """Send what waits, as far as that takes no longer."""
        if self._exporter is None:
            return
        try:
            self._queue.put(None, timeout=timeout_s)
        except Full:
            return
        self._thread.join(timeout_s)

    def collect(self) -> Iterator[Metric]:
        """Say what became of the spans."""
        for name, text, count in (
            ("exported", "Spans that the OTLP endpoint took", self._exported),
            ("dropped", "Spans that found the queue full, or were not taken", self._dropped),
        ):
            family = CounterMetricFamily(f"jobd_telemetry_spans_{name}", text)
            family.add_metric([], count)
            yield family

    # -- the thread

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._gather()
            if batch:
                self._send([self._make(span) for span in batch])

    def _gather(self) -> tuple[list[Span], bool]:
        """Take what comes within a moment after the first one; False: nothing more will."""
        batch: list[Span] = []
        deadline: float | None = None
        while len(batch) < _BATCH:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                span = self._queue.get(timeout=left)
            except Empty:
                break
            if span is None:
                return batch, False
            batch.append(span)
            deadline = deadline or time.monotonic() + _GATHER_S
        return batch, True

    def _send(self, spans: list[ReadableSpan]) -> None:
        try:
            taken = self._exporter.export(spans).name == "SUCCESS"
        except Exception as error:  # a library's own; none of them may end the thread
            _log.warning("spans were not exported: %r", error)
            taken = False
        if taken:
            self._exported += len(spans)
        else:
            self._dropped += len(spans)
        if self._failing == taken:
            self._failing = not taken
            _log.warning("the OTLP endpoint %s", "takes spans" if taken else "takes no spans")


def open_export(endpoint: str, node: str) -> SpanExport:
    """Return the way out to an endpoint, http(s)://HOST:PORT; "" is none.

    Raises ConfigError when the endpoint is no such URL, or the extra is not installed.
    """
    if not endpoint:
        return SpanExport()
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{_KEY} {endpoint!r} is no URL", remedy="for example http://[::1]:4318")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        from jobd.node.otel_span import converter
    except ImportError as error:
        raise ConfigError(
            f"{_KEY} is set and {error.name} is not installed",
            remedy="pip install 'jobd-cluster[otel]', or leave the key out",
        ) from None
    # The library tells each failed try; that it fails is told once, above.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_TIMEOUT_S)
    return SpanExport(exporter, converter(node))
