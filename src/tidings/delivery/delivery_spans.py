# SPDX-License-Identifier: MIT
"""Spans of attempts, once they are settled. All attempts of a message, at any endpoint and node, are in one trace."""

from collections.abc import Iterable

from tidings.clock import SECOND
from tidings.delivery.outcome import SendResult
from tidings.ids import timestamp_of
from tidings.model.url import host_of
from tidings.spans import Span, SpanKind, SpanRecorder
from tidings.storage.tables.settlement import AttemptRow


def record(recorder: SpanRecorder, results: Iterable[SendResult]) -> None:
    """Record the attempts among results whose message is sampled."""
    for result in results:
        if result.attempt is not None and recorder.is_sampled(subject=result.delivery.msg_id):
            recorder.record(_span(result, result.attempt))


def _span(result: SendResult, attempt: AttemptRow) -> Span:
    return Span(
        name="deliver",
        kind=SpanKind.CLIENT,
        began_at=timestamp_of(attempt.id),
        seconds=attempt.response_duration_ms / SECOND,
        attributes={
            "http.request.method": "POST",
            "http.response.status_code": attempt.response_status_code or None,
            "server.address": host_of(attempt.url) or None,
            "tidings.outcome": "delivered" if result.delivered else result.outcome,
            "tidings.is_exhausted": result.is_exhausted,
            "tidings.attempt_number": attempt.number,
            "tidings.org": attempt.org_id,
            "tidings.app": attempt.app_id,
            "tidings.endpoint": attempt.endpoint_id,
            "tidings.message": attempt.msg_id,
            "tidings.attempt": attempt.id,
            "tidings.task": attempt.task_id,
        },
        is_error=not result.delivered,
        subject=attempt.msg_id,
    )
