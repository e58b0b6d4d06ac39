# SPDX-License-Identifier: MIT
"""The lines of the log about failing endpoints: few, bounded, and with nothing of a URL but its host."""

import asyncio
import logging

import pytest

from logged import fields_of, text_of
from tidings.delivery.failure_summary import FailureSummary
from tidings.delivery.outcome import SendResult
from tidings.delivery.tuning import DeliveryTuning
from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver
from tidings.model.signature import KeyRing, SymmetricKey
from tidings.storage.tables.settlement import AttemptRow

URL = "https://user:secret@hooks.example.com:8443/path-secret?token=secret"


def result(name: str, code: int = 500) -> SendResult:
    ring = KeyRing(SymmetricKey(bytes(24)))
    receiver = Receiver(EndpointId(name), AppId("app_1"), OrgId("org_1"), URL, ring, (), False, None, None)  # noqa: FBT003
    delivery, delivered = Delivery(receiver, "msg_1", b"{}", 1, 0.0), code == 200
    attempt = AttemptRow.of(
        delivery, "atmpt_1", delivered=delivered, code=code, response="private", duration_ms=1, next_at=None
    )
    return SendResult(delivery, attempt, delivered)


async def test_an_endpoint_has_one_line_with_its_host_last_status_and_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidings")
    summary = FailureSummary()

    summary.add([result("ep_1", 500), result("ep_1", 200), result("ep_1", 503), result("ep_2", 0)])
    summary.flush()
    summary.flush()

    names = ("app", "endpoint", "host", "status", "attempts")
    assert [tuple(fields_of(each)[name] for name in names) for each in caplog.records] == [
        ("app_1", "ep_1", "hooks.example.com", 503, 2),
        ("app_1", "ep_2", "hooks.example.com", "no response", 1),
    ]
    assert "secret" not in text_of(caplog)
    assert "private" not in text_of(caplog)


async def test_a_success_writes_nothing_and_starts_no_timer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidings")
    summary = FailureSummary()
    summary.add([result("ep_1", 200)])

    assert summary._timer is None  # noqa: SLF001
    assert caplog.records == []


async def test_lines_and_memory_are_bounded_and_the_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidings")
    summary = FailureSummary(DeliveryTuning(summary_lines=2, summary_endpoints=4))

    summary.add([result(f"ep_{number}") for number in (1, 1, 1, 2, 2, 3, 4, 5, 6)])
    summary.flush()

    assert [fields_of(each).get("endpoint") for each in caplog.records] == ["ep_1", "ep_2", None]
    assert fields_of(caplog.records[-1]) == {"endpoints": "2 or more", "attempts": 4}


async def test_the_timer_logs_soon_and_then_keeps_the_interval() -> None:
    summary = FailureSummary(DeliveryTuning(summary_first_seconds=0.0, summary_seconds=3_600.0))
    summary.add([result("ep_1")])
    async with asyncio.timeout(20):
        while summary._timer is not None:  # noqa: ASYNC110, SLF001 - the loop calls the timer
            await asyncio.sleep(0)
    summary.add([result("ep_1")])

    timer = summary._timer  # noqa: SLF001
    assert timer is not None
    assert timer.when() > asyncio.get_running_loop().time() + 3_000
    summary.flush()
