# SPDX-License-Identifier: MIT
"""Timestamps are those of RFC 3339, with the two leniencies of svix-server."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.clock import SECOND, ManualClock, SharedClock, parse_rfc3339, rfc3339

TEN = 1_795_946_400_000  # 2026-11-29T10:00:00Z


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2026-11-29T10:00:00Z", TEN),
        ("2026-11-29t10:00:00z", TEN),
        ("2026-11-29T10:00:00+00:00", TEN),
        ("2026-11-29T10:00:00-00:00", TEN),
        ("2026-11-29T11:30:00+01:30", TEN),
        ("2026-11-28T10:01:00-23:59", TEN),
        ("2026-11-29T10:00:00.5Z", TEN + 500),
        ("2026-11-29T10:00:00.1239Z", TEN + 123),
        ("2026-11-29T10:00:00.123456789012Z", TEN + 123),
        ("2026-11-29 10:00:00Z", TEN),
        ("2026-11-29 10:00:00.123 UTC", TEN + 123),
        ("2026-11-29T10:00:00 utc", TEN),
        (" 2026-11-29T10:00:00Z ", TEN),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31T23:59:60.5Z", 1_483_228_800_500),
        ("2016-12-31T15:59:60-08:00", 1_483_228_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_a_valid_timestamp_is_read(text: str, timestamp: int) -> None:
    assert timestamp == parse_rfc3339(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1795946400",
        "2026-11-29",
        "2026-11-29T10:00:00",
        "2026-11-29 10:00:00",
        "2026-W48-7T10:00:00Z",
        "2026-333T10:00:00Z",
        "20261129T100000Z",
        "20261129T10:00:00Z",
        "2026-11-29T100000Z",
        "2026-11-29T10Z",
        "2026-11-29T10:00Z",
        "2026-11-29T10+00:00",
        "2026-11-29T10:00:00+0000",
        "2026-11-29T10:00:00+00",
        "2026-11-29T10:00:00+00:00:00",
        "2026-11-29T10:00:00+24:00",
        "2026-11-29T10:00:00+00:60",
        "2026-11-29T10:00:00,5Z",
        "2026-11-29T10:00:00.Z",
        "2026-11-29_10:00:00Z",
        "2026-11-29T24:00:00Z",
        "2026-11-29T10:60:00Z",
        "2026-11-29T10:00:61Z",
        "2026-02-29T10:00:00Z",
        "2026-11-31T10:00:00Z",
        "26-11-29T10:00:00Z",
        "+2026-11-29T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
        "2026-11-29T10:00:00 Z",
        "2026-11-29T10:00:00Z+00:00",
        "2026-11-29T10:00:00\u00a0UTC",
        "٢٠٢٦-11-29T10:00:00Z",
    ],
)
def test_an_invalid_timestamp_is_refused(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        parse_rfc3339(text)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_timestamps_with_different_offsets_name_the_same_time(timestamp: datetime, minutes: int) -> None:
    whole = timestamp.replace(microsecond=0, tzinfo=UTC)
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    local = (whole + timedelta(minutes=minutes)).replace(tzinfo=None).isoformat()

    read = parse_rfc3339(f"{local}{sign}{hours:02}:{rest:02}")

    assert int((whole - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND == read
    assert read == parse_rfc3339(rfc3339(read))


class TestSharedClock:
    """The clock of nodes that share a database."""

    def test_a_small_correction_pauses_the_clock(self) -> None:
        own = ManualClock(TEN)
        clock = SharedClock(own)
        assert TEN == clock.now()

        clock.adjust(TEN - 2 * SECOND)

        assert TEN == clock.now()
        own.advance(1_999)
        assert TEN == clock.now()
        own.advance(2)
        assert TEN + 1 == clock.now()

    def test_a_large_correction_moves_the_clock_back_at_once(self) -> None:
        clock = SharedClock(ManualClock(TEN))
        assert TEN == clock.now()

        clock.adjust(TEN - 60 * SECOND)

        assert TEN - 60 * SECOND == clock.now()

    def test_a_correction_within_the_round_trip_time_is_ignored(self) -> None:
        own = ManualClock(TEN)
        clock = SharedClock(own)

        clock.adjust(TEN - 800, took=900)
        assert TEN == clock.now()
        clock.adjust(TEN + 800, took=900)
        assert TEN + 1_250 == clock.now()
