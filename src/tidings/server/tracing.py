# SPDX-License-Identifier: MIT
"""Exports spans with OpenTelemetry, over OTLP and HTTP. This module needs the extra `otel`; nothing else imports it.

A span is put into a bounded queue, which a thread of the library sends to the collector. So a collector that is down
or hangs costs lost spans and nothing else. The id of a subject (a message or a task) decides whether it is sampled, and
names the trace of its spans: every node comes to the same decision and the same trace.
"""

import asyncio
import hashlib
import logging
import random
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tidings import __version__
from tidings.clock import Clock
from tidings.errors import ExternalError
from tidings.log_lines import error_text
from tidings.logs import identity
from tidings.observe import EventBudget, RepeatedWork, count
from tidings.settings import Settings
from tidings.spans import Span, SpanKind

_PER_SECOND: Final = 200
"""The spans per second of one process, and their burst; further ones are left out."""
_QUEUE: Final = 2_048
_DELAY_MS: Final = 1_000
_REQUEST_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 0.5
"""How long the end of the process waits for a collector that has worked so far."""
_PATH: Final = "/v1/traces"
_NS_PER_MS: Final = 1_000_000
_NS_PER_SECOND: Final = 1_000_000_000
_HALF_OF_ID: Final = (1 << 64) - 1
_PARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.{0,256})?"
)
"""A `traceparent` header; versions after 00 may append to it."""
_KINDS: Final = {
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
}


class ExportFailed(ExternalError):
    """The collector did not take a batch of spans."""


class _ChosenIds(IdGenerator):
    """Random ids, or the trace that was chosen for the next span."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.chosen: int | None = None

    def generate_span_id(self) -> int:
        return self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        return self._random.generate_trace_id() if self.chosen is None else self.chosen


class Exporter(SpanExporter):
    """Passes spans to another exporter, and logs when it starts to fail and when it works again. Never raises."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._work = RepeatedWork("exporting spans")
        self.is_failing = False
        self.handled = 0
        """The spans that were exported or lost."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans, on the thread of the processor."""
        error = self._error_of(spans)
        self.is_failing = error is not None
        self.handled += len(spans)
        if error is None:
            self._work.passed()
            return SpanExportResult.SUCCESS
        count("spans.lost", len(spans))
        self._work.failed(error)
        return SpanExportResult.FAILURE

    def _error_of(self, spans: Sequence[ReadableSpan]) -> ExportFailed | None:
        try:
            if self._inner.export(spans) is SpanExportResult.SUCCESS:
                return None
        except Exception as error:  # noqa: BLE001 - spans are lost, and nothing else
            return ExportFailed(error_text(error))
        return ExportFailed("the collector cannot be reached, or refuses spans")

    def shutdown(self) -> None:
        """End the other exporter."""
        self._inner.shutdown()


class TraceRecorder:
    """Records spans with OpenTelemetry."""

    def __init__(
        self, settings: Settings, clock: Clock, exporter: SpanExporter, processor: SpanProcessor | None = None
    ) -> None:
        self._exporter = Exporter(exporter)
        self._bound = round(settings.opentelemetry_sample_ratio * (_HALF_OF_ID + 1))
        self._budget = EventBudget(clock, _PER_SECOND, _PER_SECOND)
        self._ids = _ChosenIds()
        self._recorded = 0
        self._context = TraceContextTextMapPropagator()
        resource = {
            "service.name": settings.opentelemetry_service_name,
            "service.version": __version__,
            "service.instance.id": identity.node,
        }
        self._provider = TracerProvider(
            resource=Resource.create(resource), sampler=ALWAYS_ON, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            processor or BatchSpanProcessor(self._exporter, max_queue_size=_QUEUE, schedule_delay_millis=_DELAY_MS)
        )
        self._tracer = self._provider.get_tracer("tidings", __version__)

    def is_sampled(self, *, subject: str | None = None, parent: bytes | None = None) -> bool:
        """Return whether to record a span: as its parent says, else by the id of its subject, else by chance."""
        is_chosen = None if parent is None else _sampled_flag(parent)
        if is_chosen is None:
            number = random.getrandbits(64) if subject is None else _trace_of(subject) & _HALF_OF_ID
            is_chosen = number < self._bound
        if not is_chosen:
            return False
        if not self._budget.admit():
            count("spans.left_out")
            return False
        return True

    def record(self, span: Span) -> None:
        """Record a sampled span, unless too many wait for the collector."""
        if self._recorded - self._exporter.handled >= _QUEUE:
            count("spans.lost")
            return
        self._recorded += 1
        context = Context()
        if span.parent is not None:
            context = self._context.extract({"traceparent": span.parent.decode("latin-1")})
        self._ids.chosen = None if span.subject is None else _trace_of(span.subject)
        began = span.began_at * _NS_PER_MS
        started = self._tracer.start_span(
            span.name,
            context,
            _KINDS[span.kind],
            {name: value for name, value in span.attributes.items() if value is not None},
            start_time=began,
        )
        if span.is_error:
            started.set_status(trace.StatusCode.ERROR)
        started.end(began + int(span.seconds * _NS_PER_SECOND))

    async def close(self, seconds: float) -> None:
        """Export the remaining spans, within some seconds and half a second, unless the last export failed."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            with suppress(Exception):
                self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=end, name="traces", daemon=True).start()
        if self._exporter.is_failing:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _CLOSE_SECONDS)):
                await ended.wait()


def _trace_of(subject: str) -> int:
    """Return the id of the trace of a message or a task."""
    return int.from_bytes(hashlib.blake2b(subject.encode(), digest_size=16).digest(), "big") or 1


def _sampled_flag(parent: bytes) -> bool | None:
    """Return the decision of a `traceparent` header; None if the header is invalid, and so without meaning."""
    found = _PARENT.fullmatch(parent)
    return None if found is None else bool(int(found[1], 16) & 1)


def recorder_of(settings: Settings, clock: Clock) -> TraceRecorder | None:
    """Return the recorder that the settings ask for, or None."""
    if not settings.opentelemetry_address:
        return None
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # `Exporter` logs its failures once
    exporter = OTLPSpanExporter(endpoint=_endpoint(settings.opentelemetry_address), timeout=_REQUEST_SECONDS)
    return TraceRecorder(settings, clock, exporter)


def _endpoint(address: str) -> str:
    """Return the URL to post to: an address without a path gets the usual one."""
    return address if urlsplit(address).path.strip("/") else address.rstrip("/") + _PATH
