# SPDX-License-Identifier: MIT
"""Misbehaviors of receivers, as scripts, with the attempt that each must produce."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Final

from delivery.receiver import OK, Peer, Script, Step, answer, hang, read, reset, say, say_forever, serve

HEAD: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TIMED_OUT: Final = "request timed out"
CLOSED: Final = "error making request: connection closed before the response was complete"
RESET: Final = "error making request: connection reset by peer"
NOT_HTTP: Final = "error making request: invalid HTTP response"
TOO_LONG: Final = "error making request: response headers are too long"
BROKEN_BODY: Final = "Error reading response body: connection "


@dataclass(frozen=True, slots=True)
class Case:
    """A receiver, and the code and text prefix of its expected attempt. Several scripts: one per connection."""

    scripts: tuple[Script, ...]
    code: int
    text: str
    messages: int = 1
    takes_until: str = ""
    """`head` or `body` if only that deadline ends the attempt."""
    is_invalid: bool = False
    """Whether the attempt fails whatever its code is."""


def drip(data: bytes) -> Step:
    """Write bytes one at a time, slowly, without end."""

    async def step(peer: Peer) -> None:
        for byte in itertools.cycle(data):
            if peer.writer.is_closing():
                return
            peer.writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    return step


async def read_nothing(_peer: Peer) -> None:
    """Read nothing, send nothing, and close long after every deadline."""
    await asyncio.sleep(5)


async def pause(_peer: Peer) -> None:
    """Wait, so that the previous bytes arrive in a segment of their own."""
    await asyncio.sleep(0.05)


def one(*steps: Step) -> tuple[Script, ...]:
    return (steps,)


def answered(data: bytes) -> tuple[Script, ...]:
    return (answer(data),)


def redirect(status: int, to: bytes = b"127.0.0.1:9") -> bytes:
    return b"HTTP/1.1 %d Moved\r\nLocation: http://%b/\r\nContent-Length: 4\r\n\r\nover" % (status, to)


SLOW: Final = {
    "reads nothing": Case(one(read_nothing), 0, TIMED_OUT, takes_until="head"),
    "says nothing": Case(one(read, hang), 0, TIMED_OUT, takes_until="head"),
    "half a head": Case(one(read, say(HEAD + b"X: "), hang), 0, TIMED_OUT, takes_until="head"),
    "a head in drips": Case(one(read, say(HEAD), drip(b"X: 1\r\n")), 0, TIMED_OUT, takes_until="head"),
    "interim answers in drips": Case(
        one(read, drip(b"HTTP/1.1 102 Processing\r\n\r\n")), 0, TIMED_OUT, takes_until="head"
    ),
    "half a body": Case(one(read, say(HEAD + b"Content-Length: 9\r\n\r\npart"), hang), 200, "part", takes_until="body"),
    "a body in drips": Case(one(read, say(HEAD + b"\r\n"), drip(b"x")), 200, "xxx", takes_until="body"),
    "chunks in drips": Case(one(read, say(CHUNKED), drip(b"1\r\nx\r\n")), 200, "xx", takes_until="body"),
}
LONG: Final = {
    "an endless body": Case(one(read, say(HEAD + b"\r\n"), say_forever(b"x" * 4_096)), 200, "x" * 20_000),
    "endless chunks": Case(one(read, say(CHUNKED), say_forever(b"1\r\nx\r\n" * 500)), 200, "x" * 15_000),
    "endless trailers": Case(one(read, say(CHUNKED + b"2\r\nok\r\n0\r\n"), say_forever(b"T: 1\r\n" * 500)), 200, "ok"),
    "endless headers": Case(one(read, say(HEAD), say_forever(b"X: 1\r\n" * 500)), 0, TOO_LONG),
    "endless interim answers": Case(one(read, say_forever(b"HTTP/1.1 103 Hints\r\n\r\n" * 50)), 0, TOO_LONG),
    "10 MB of headers": Case(one(read, say(HEAD + b"X: " + b"x" * 10_000_000), hang), 0, TOO_LONG),
}
BREAKING: Final = {
    "reset when connected": Case(one(reset), 0, "error making request: connection "),
    "closed when connected": Case(one(), 0, "error making request: connection "),
    "reset when asked": Case(one(read, reset), 0, RESET),
    "closed when asked": Case(one(read), 0, CLOSED),
    "reset inside the head": Case(one(read, say(b"HTTP/1.1 200 OK\r\nX"), pause, reset), 0, RESET),
    "closed inside the head": Case(answered(b"HTTP/1.1 200 OK\r\nX"), 0, CLOSED),
    "reset inside the body": Case(
        one(read, say(HEAD + b"Content-Length: 9\r\n\r\npart"), pause, reset), 200, BROKEN_BODY + "reset by peer"
    ),
    "closed inside the body": Case(answered(HEAD + b"Content-Length: 9\r\n\r\npart"), 200, BROKEN_BODY + "closed"),
    "closed inside a chunk": Case(answered(CHUNKED + b"9\r\npart"), 200, BROKEN_BODY + "closed"),
    "reset inside a chunk": Case(
        one(read, say(CHUNKED + b"9\r\npart"), pause, reset), 200, BROKEN_BODY + "reset by peer"
    ),
    "reset after an interim answer": Case(one(read, say(b"HTTP/1.1 103 Hints\r\n\r\n"), pause, reset), 0, RESET),
    "closed after an interim answer": Case(answered(b"HTTP/1.1 103 Hints\r\n\r\n"), 0, CLOSED),
    # The second message is sent on the connection of the first, and then on a fresh connection.
    "a kept connection closed when asked": Case(([*answer(), read], [serve]), 200, "ok", messages=2),
    "a kept connection reset when asked": Case(([*answer(), read, reset], [serve]), 200, "ok", messages=2),
}
INVALID: Final = {
    "another protocol": Case(one(read, say(b"SSH-2.0-OpenSSH_9.9\r\n"), hang), 0, NOT_HTTP),
    "no status": Case(one(read, say(b"HTTP/1.1 abc\r\n\r\n"), hang), 0, NOT_HTTP),
    "a header without a colon": Case(one(read, say(HEAD + b"no colon\r\n\r\n"), hang), 200, NOT_HTTP, is_invalid=True),
    "two lengths": Case(
        one(read, say(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"), hang),
        *(200, f"{NOT_HTTP}: different Content-Length values"),
        is_invalid=True,
    ),
    "a bad chunk": Case(one(read, say(CHUNKED + b"zz\r\n"), hang), 200, "Error reading response body: invalid HTTP"),
    "a switch of protocols": Case(
        one(read, say(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), hang), 0, NOT_HTTP
    ),
}
ODD: Final = {
    "one length twice": Case(answered(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"), 200, "ok"),
    "a length and chunks": Case(
        answered(HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), 200, "ok"
    ),
    "interim answers first": Case(
        answered(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n" + OK), 200, "ok"
    ),
    "chunks and trailers": Case(
        answered(CHUNKED + b"2\r\nok\r\n1;ext=1\r\n!\r\n0\r\nTrailer: 1\r\nRetry-After: 9\r\n\r\n"), 200, "ok!"
    ),
    "HTTP/1.0": Case(answered(b"HTTP/1.0 200 OK\r\n\r\nto the end"), 200, "to the end"),
    "HTTP/1.0 with a length": Case(answered(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), 200, "ok"),
    "HTTP/1.0 that keeps the connection": Case(
        ([*answer(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"), serve],),
        *(200, "ok"),
        messages=2,
    ),
    "Connection: close": Case(
        ([*answer(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok"), hang],), 200, "ok", messages=2
    ),
    "to the end of the connection": Case(answered(HEAD + b"Connection: close\r\n\r\nto the end"), 200, "to the end"),
    "an answer before the question": Case(one(say(OK), hang), 200, "ok"),
    "more than was asked for": Case(([*answer(OK + OK), hang], [serve]), 200, "ok", messages=2),
    "no content": Case(answered(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, ""),
    "a NUL in the body": Case(answered(HEAD + b"Content-Length: 3\r\n\r\na\0b"), 200, "YQBi"),
    "a body that is no text": Case(answered(HEAD + b"Content-Length: 2\r\n\r\n\xff\xfe"), 200, "//4="),
    **{f"redirect {status}": Case(answered(redirect(status)), status, "over") for status in (301, 302, 303, 307, 308)},
    "redirect to metadata": Case(answered(redirect(307, b"169.254.169.254")), 307, "over"),
    **{
        f"error {status}": Case(answered(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status), status, "no")
        for status in (400, 410, 429, 500, 503)
    },
}
ALL: Final[dict[str, Case]] = {**SLOW, **LONG, **BREAKING, **INVALID, **ODD}
