# SPDX-License-Identifier: MIT
"""Spans of slices. All slices of a task, on any node, are in one trace."""

from tidings.clock import Clock
from tidings.model.task import ENDED, Task
from tidings.spans import Span, SpanKind, spans
from tidings.tasks.slice import Slice


async def run_recorded(work: Slice, clock: Clock) -> None:
    """Run a slice, and record it if its task is sampled."""
    recorder, before = spans.recorder, work.task
    if recorder is None or not recorder.is_sampled(subject=before.id):
        await work.run()
        return
    began_at, began = clock.now(), clock.monotonic()
    try:
        await work.run()
    finally:
        recorder.record(
            Span(
                name=f"task {before.kind}",
                kind=SpanKind.INTERNAL,
                began_at=began_at,
                seconds=clock.monotonic() - began,
                attributes=_attributes(before, work.task),
                is_error=work.failure is not None,
                subject=before.id,
            )
        )


def _attributes(before: Task, after: Task) -> dict[str, str | int | float | bool | None]:
    return {
        "tidings.task": after.id,
        "tidings.kind": after.kind,
        "tidings.org": after.org_id,
        "tidings.app": after.app_id,
        "tidings.epoch": after.epoch,
        "tidings.chunks": after.chunks - before.chunks,
        "tidings.done": after.done - before.done,
        "tidings.skipped": after.skipped - before.skipped,
        "tidings.has_ended": after.state in ENDED,
    }
