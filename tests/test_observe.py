# SPDX-License-Identifier: MIT
"""The log lines of a process."""

import logging

import pytest

from logged import fields_of, text_of
from tidings.observe import RepeatedWork, counters, failure
from tidings.storage.drivers.database import Busy, StorageError, Unavailable
from tidings.storage.drivers.store import opened


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return raised


def test_a_database_error_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    failure("the heartbeat query", _raised(Unavailable("no listener")))

    assert [(each.message, each.exc_info) for each in caplog.records] == [("the database is unavailable", None)]
    assert fields_of(caplog.records[0]) == {"error": "Unavailable: no listener", "work": "the heartbeat query"}


def test_an_internal_error_is_logged_with_its_location(caplog: pytest.LogCaptureFixture) -> None:
    failure("claiming", _raised(KeyError("lane")))

    assert "_raised" in text_of(caplog)


def test_repeated_work_is_logged_when_it_starts_to_fail_and_when_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work, before = RepeatedWork("claiming"), counters["failures"]
    for _ in range(2):
        work.passed()
        for _ in range(3):
            work.failed(Busy("the file is locked"))
        work.passed()

    assert ["claiming failed", "claiming works again"] * 2 == [each.message for each in caplog.records]
    assert {"failures": 3} == fields_of(caplog.records[1])
    assert before + 6 == counters["failures"]


def test_an_internal_error_of_repeated_work_is_logged_each_time(caplog: pytest.LogCaptureFixture) -> None:
    work = RepeatedWork("claiming")
    for error in (Busy("locked"), KeyError("lane"), KeyError("lane"), Busy("locked")):
        work.failed(_raised(error))

    assert ["Busy: locked", "KeyError: 'lane'", "KeyError: 'lane'"] == [
        fields_of(each)["error"] for each in caplog.records
    ]


async def test_the_connection_pool_does_not_repeat_its_users_log_lines() -> None:
    with pytest.raises(StorageError):
        await opened("postgresql://127.0.0.1:1/none")

    assert not logging.getLogger("asyncpg.pool").isEnabledFor(logging.WARNING)
