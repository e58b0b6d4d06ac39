# SPDX-License-Identifier: MIT
"""Traces in memory, for tests of the spans that each part of the service records."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tidings.clock import Clock
from tidings.server.tracing import TraceRecorder
from tidings.settings import Settings
from tidings.spans import spans

SECRET = "hunter2"


@dataclass(frozen=True)
class Traces:
    """The spans that were recorded."""

    recorder: TraceRecorder
    exporter: InMemorySpanExporter

    def found(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def only(self) -> ReadableSpan:
        [span] = self.found()
        return span

    def ids(self) -> set[int]:
        """Return the ids of all traces."""
        return {span.context.trace_id for span in self.found() if span.context is not None}


def tracing(clock: Clock, **settings: Any) -> Traces:
    exporter = InMemorySpanExporter()
    recorder = TraceRecorder(Settings(**settings), clock, exporter, SimpleSpanProcessor(exporter))
    return Traces(recorder, exporter)


@contextlib.contextmanager
def recording(clock: Clock, **settings: Any) -> Iterator[Traces]:
    """Record the spans of this process during a block."""
    traces = tracing(clock, **settings)
    spans.recorder = traces.recorder
    try:
        yield traces
    finally:
        spans.recorder = None


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def text_of(span: ReadableSpan) -> str:
    """Return all that is known of a span."""
    return str(json.loads(span.to_json()))
