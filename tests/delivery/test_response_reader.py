# SPDX-License-Identifier: MIT
"""A response is read in parts of any size, within bounds, and the next one on the same connection starts clean."""

from collections.abc import Iterator

import pytest

from tidings.delivery.response_reader import MAX_HEAD_BYTES, WIRE_FACTOR, ResponseError, ResponseReader

PLAIN = b"HTTP/1.1 201 Created\r\nRetry-After: 7\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
FOLDED = b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 3, 3\r\n\r\nabc"


@pytest.fixture
def reader() -> Iterator[ResponseReader]:
    reader = ResponseReader(max_body_bytes=10)
    yield reader
    reader.close()


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize(
    "response", [PLAIN, CHUNKED, FOLDED, b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n" + PLAIN]
)
def test_a_response_is_read_in_parts_of_any_size(reader: ResponseReader, response: bytes, size: int) -> None:
    parts = [response[at : at + size] for at in range(0, len(response), size)]

    assert [False] * (len(parts) - 1) + [True] == [reader.feed(part) for part in parts]
    reply = reader.reply(reader.head_at - 0.25, None)
    assert (b"abc", 250, None) == (reply.body, reply.duration_ms, reply.error)
    assert ("7" if PLAIN in response else None) == reply.retry_after
    assert reader.is_reusable is not (response is FOLDED)


def test_a_response_is_independent_of_the_previous_one(reader: ResponseReader) -> None:
    reader.feed(PLAIN)
    reader.reset()
    assert (0, 0, False) == (reader.status, reader.received, reader.is_reusable)

    assert reader.feed(CHUNKED)
    reply = reader.reply(reader.head_at, None)
    assert (200, b"abc", None) == (reply.status, reply.body, reply.retry_after)


def test_bytes_after_the_end_make_the_connection_unusable(reader: ResponseReader) -> None:
    assert reader.feed(PLAIN + b"HTTP/1.1 200 OK\r\n")
    assert not reader.is_reusable
    assert b"abc" == reader.reply(0.0, None).body


def test_a_long_body_is_truncated(reader: ResponseReader) -> None:
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + b"x" * 11)
    assert not reader.is_reusable
    assert b"x" * 10 == reader.reply(0.0, None).body


def test_trailers_count_against_the_bound_of_the_body(reader: ResponseReader) -> None:
    reader.feed(CHUNKED.removesuffix(b"\r\n"))
    trailer = b"X-T: %b\r\n" % (b"x" * 1_000)

    fed = 0
    while not reader.feed(trailer):
        fed += len(trailer)
    assert MAX_HEAD_BYTES - 2_000 < fed < MAX_HEAD_BYTES + WIRE_FACTOR * 10


def test_a_long_head_is_an_error(reader: ResponseReader) -> None:
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    assert not reader.feed(b"X: %b\r\n" % (b"x" * (MAX_HEAD_BYTES - 100)))
    with pytest.raises(ResponseError, match="headers are too long"):
        reader.feed(b"Y: %b\r\n" % (b"y" * 100))


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (b"SSH-2.0-x\r\n", 0),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 500),
    ],
)
def test_an_invalid_head_is_an_error_with_its_status(reader: ResponseReader, response: bytes, status: int) -> None:
    with pytest.raises(ResponseError, match="invalid HTTP response") as found:
        reader.feed(response)

    assert (status, 0) == (found.value.status, reader.status)
