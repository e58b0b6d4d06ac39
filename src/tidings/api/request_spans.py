# SPDX-License-Identifier: MIT
"""Spans of requests to the API, in the trace of the caller if the request has a `traceparent` header."""

from http import HTTPStatus

from tidings.api.request_log import RequestRecord
from tidings.clock import SECOND, Clock
from tidings.spans import Span, SpanKind, spans


class RequestSpans:
    """Records a span for each sampled request that got a response."""

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, record: RequestRecord) -> None:
        """Record a request."""
        recorder = spans.recorder
        if recorder is None or record.seconds is None or not recorder.is_sampled(parent=record.traceparent):
            return
        recorder.record(
            Span(
                name=f"{record.method} {record.route}" if record.route else str(record.method),
                kind=SpanKind.SERVER,
                began_at=self._clock.now() - int(record.seconds * SECOND),
                seconds=record.seconds,
                attributes={
                    "http.request.method": record.method,
                    "http.route": record.route,
                    "http.response.status_code": record.status,
                    "http.response.body.size": record.size,
                    **{f"tidings.{name}": _text(value) for name, value in record.fields.items()},
                },
                is_error=record.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
                parent=record.traceparent,
            )
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
