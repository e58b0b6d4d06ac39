# SPDX-License-Identifier: MIT
"""Traces of deliveries and tasks, and how many spans there may be."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode

from delivery.test_role import Door
from message_path import add_app, add_endpoint, running, terms
from tasks.kit import Counting, database, new_task, services_of, start, until, working
from tidings.clock import ManualClock, SystemClock
from tidings.observe import counters
from tidings.server.tracing import TraceRecorder
from tidings.settings import Settings
from tidings.spans import Span
from tidings.spans import SpanKind as Kind
from traces import SECRET, attributes, recording, text_of, tracing


async def test_the_attempts_of_a_message_are_one_trace(migrated_sqlite_url: str) -> None:
    async with database(migrated_sqlite_url, fresh=False) as db:
        app = await add_app(db)
        async with Door() as door:
            await add_endpoint(db, app, f"{door.url}/{SECRET}?key={SECRET}")
            door.status, door.fields = 500, f"x: {SECRET}\r\n".encode()
            with recording(SystemClock()) as traces:
                async with running(db, delivering=terms(schedule=(0, 0))) as path:
                    accepted = await path.send(app)
                    await path.until("attempt", 3)
                    await path.until("delivery", 0)
                    await path.settled()

    found = traces.found()
    assert [("deliver", SpanKind.CLIENT, StatusCode.ERROR)] * 3 == [
        (s.name, s.kind, s.status.status_code) for s in found
    ]
    assert len(traces.ids()) == 1
    assert [(1, False), (2, False), (3, True)] == [
        (attributes(span)["tidings.attempt_number"], attributes(span)["tidings.is_exhausted"]) for span in found
    ]
    expected = {
        "http.response.status_code": 500,
        "server.address": "127.0.0.1",
        "tidings.outcome": "5xx",
        "tidings.message": accepted.id,
        "tidings.app": app,
    }
    assert expected.items() <= attributes(found[0]).items()
    assert not any(SECRET in text_of(span) for span in found)


async def test_the_slices_of_a_task_are_one_trace(migrated_sqlite_url: str) -> None:
    async with database(migrated_sqlite_url) as db:
        task = await start(services_of(db), new_task(100, poison=50))
        with recording(SystemClock()) as traces:
            async with working(db, Counting()):
                await until(db, task.id)

    found = traces.found()
    assert len(found) > 1
    assert {("task test.count", SpanKind.INTERNAL)} == {(span.name, span.kind) for span in found}
    assert len(traces.ids()) == 1
    assert {task.id} == {attributes(span)["tidings.task"] for span in found}
    assert StatusCode.ERROR is found[-1].status.status_code


async def test_a_span_of_a_slice_counts_its_items(migrated_sqlite_url: str) -> None:
    async with database(migrated_sqlite_url) as db:
        task = await start(services_of(db), new_task(100, skip=2))
        with recording(SystemClock()) as traces:
            async with working(db, Counting()):
                await until(db, task.id)

    span = traces.only()
    found = attributes(span)
    assert (50, 50, True) == tuple(found[f"tidings.{name}"] for name in ("done", "skipped", "has_ended"))
    assert StatusCode.UNSET is span.status.status_code


# ---------------------------------------------------------------------------------------------------------------------
# Sampling and bounds


def test_every_node_samples_the_same_subjects() -> None:
    subjects = [f"msg_{number}" for number in range(1_000)]
    chosen: list[list[str]] = []
    for _ in range(2):
        clock = ManualClock()
        recorder = tracing(clock, opentelemetry_sample_ratio=0.25).recorder
        chosen.append([])
        for subject in subjects:
            clock.advance(100)
            if recorder.is_sampled(subject=subject):
                chosen[-1].append(subject)

    assert chosen[0] == chosen[1]
    assert 200 < len(chosen[0]) < 300
    assert not tracing(ManualClock(), opentelemetry_sample_ratio=0.0).recorder.is_sampled(subject="msg_1")


def test_a_process_records_a_bounded_number_of_spans_per_second() -> None:
    clock = ManualClock()
    recorder, before = tracing(clock).recorder, counters["spans.left_out"]

    def sampled(number: int) -> int:
        return sum(recorder.is_sampled(subject=f"msg_{each}") for each in range(number))

    assert [200, 0] == [sampled(1_000), sampled(1)]
    clock.advance(500)
    assert sampled(1_000) == 100
    assert before + 800 + 1 + 900 == counters["spans.left_out"]


class Broken(SpanExporter):
    """An exporter that fails in each way, one after the other."""

    def __init__(self) -> None:
        self.ways: list[Callable[[], SpanExportResult]] = [
            lambda: SpanExportResult.FAILURE,
            lambda: SpanExportResult(int("no number")),
            lambda: SpanExportResult.FAILURE,
            lambda: SpanExportResult.SUCCESS,
        ]

    def export(self, spans: Any) -> SpanExportResult:
        del spans
        return self.ways.pop(0)()


def test_failed_exports_are_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    broken, before = Broken(), counters["spans.lost"]
    recorder = TraceRecorder(Settings(), SystemClock(), broken)
    span = Span(name="x", kind=Kind.INTERNAL, began_at=0, seconds=0.1, attributes={"a": None, "b": 1})
    while broken.ways:
        recorder.record(span)
        recorder._provider.force_flush()  # noqa: SLF001
    asyncio.run(recorder.close(10.0))

    assert ["exporting spans failed", "exporting spans works again"] == [each.message for each in caplog.records]
    assert before + 3 == counters["spans.lost"]
