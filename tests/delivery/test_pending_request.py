# SPDX-License-Identifier: MIT
"""The deadlines of one request: the head's, then the body's, and none after its end."""

from collections.abc import Callable
from time import monotonic

import pytest

from tidings.delivery.pending_request import PendingRequest, Reply
from tidings.delivery.wheel import TimerWheel

BODY_SECONDS = 1_000.0


class Timers:
    """A loop that only records its timers."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def call_later(self, _delay: float, call: Callable[[], None]) -> "Timers":
        self.calls.append(call)
        return self

    def cancel(self) -> None:
        """Cancel the timer."""


class Place:
    """The state of a request; `answer` is the response received so far."""

    def __init__(self, answer: Reply | None = None, failed: str = "") -> None:
        self.answer = answer
        self.failed = failed
        self.dropped: list[PendingRequest] = []

    def partial_reply(self) -> Reply | None:
        return self.answer

    def drop(self, request: PendingRequest) -> None:
        self.dropped.append(request)

    def dial_errors(self) -> str:
        return self.failed


@pytest.fixture
def wheel() -> TimerWheel:
    return TimerWheel(Timers().call_later, monotonic)


@pytest.fixture
def replies() -> list[Reply]:
    return []


def begun(
    wheel: TimerWheel, replies: list[Reply], place: Place, *, body_seconds: float = BODY_SECONDS
) -> PendingRequest:
    now = monotonic()
    request = PendingRequest(b"", replies.append, wheel, now, now + 10, now + body_seconds)
    request.owner = place
    return request


def test_a_reply_removes_the_deadline(wheel: TimerWheel, replies: list[Reply]) -> None:
    request = begun(wheel, replies, Place())
    during = len(wheel)

    request.finish(Reply(200, b"", 0))

    assert (during, len(wheel), len(replies)) == (1, 0, 1)


def test_a_cancellation_removes_the_deadline(wheel: TimerWheel, replies: list[Reply]) -> None:
    place = Place()
    request = begun(wheel, replies, place)

    request.cancel()

    assert (len(wheel), replies, place.dropped) == (0, [], [request])


def test_a_request_without_a_head_by_the_first_deadline_times_out(wheel: TimerWheel, replies: list[Reply]) -> None:
    place = Place()
    request = begun(wheel, replies, place)

    request.expire()

    assert [reply.timed_out for reply in replies] == [True]
    assert (len(wheel), place.dropped) == (0, [request])


def test_the_body_has_a_deadline_of_its_own_after_the_head(wheel: TimerWheel, replies: list[Reply]) -> None:
    place = Place(Reply(200, b"part", 5))
    request = begun(wheel, replies, place)
    first = request.ends_at

    request.expire()

    assert (replies, place.dropped, request.is_ended) == ([], [], False)
    assert len(wheel) == 2  # the wheel itself removes the first one as it turns
    request.finish(Reply(200, b"whole", 5))
    assert len(wheel) == 1
    assert first == request.ends_at


def test_a_body_past_its_deadline_keeps_the_received_part(wheel: TimerWheel, replies: list[Reply]) -> None:
    partial = Reply(200, b"part", 5)
    request = begun(wheel, replies, Place(partial), body_seconds=0.0)

    request.expire()
    request.expire()

    assert replies == [partial]
    assert len(wheel) == 0


def test_a_timeout_names_the_earlier_failure(wheel: TimerWheel, replies: list[Reply]) -> None:
    begun(wheel, replies, Place(failed="192.0.2.1: connection refused")).expire()

    assert [reply.error for reply in replies] == ["request timed out; 192.0.2.1: connection refused"]
    assert replies[0].timed_out
