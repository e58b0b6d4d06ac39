# SPDX-License-Identifier: MIT
"""The program of a child process: runs one script at a time, each in a context of its own.

The parent starts it with an empty environment and no descriptor but its socket, and holds the time limit: it kills a
child that is late. The limits here make most ends orderly, and cheaper than a new process. The kernel ends the child
with its parent; where it cannot, an alarm does.

**The next context** is made once a result is sent, so no caller waits for it, and before any script of it is known. The
context of a run ends before its result is sent: what a script leaves behind takes the time of its own run.
"""

import contextlib
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import _quickjs  # type: ignore[import-not-found]  # of the extra; the parent has found it

from tidings.sandbox.confinement import confine, end_with_parent
from tidings.sandbox.frames import HEAD_MAX, HELLO, PAYLOAD_MAX, REPLY, REQUEST, Action, ReplyStatus

_STACK_BYTES: Final = 256 << 10
_TEXT_MAX: Final = 500
_NEARLY_ALL: Final = 0.75
_ALARM_FACTOR: Final = 20
_READ_BYTES: Final = 64 << 10
_MICROSECONDS_MAX: Final = (1 << 32) - 1
_HARNESS: Final = (Path(__file__).parent / "harness.js").read_text()
_FRAME: Final = re.compile(r"\n    at [^\n]*")
_PLACE: Final = re.compile(r"<input>:(\d{1,9}):(\d{1,9})\)?$")
_HANDLER: Final = "typeof handler === 'function' ? handler : null"
_UNCHANGED: Final = "="
"""Begins the head of a result whose payload is as it was given."""
_OF_HARNESS: Final = "at tidings$"
_NO_STACK: Final = "\nundefined"
"""The end of the text of a thrown value that is no error."""
_NULL: Final = "null"
"""What the interpreter throws if it has no memory left for an error."""
_INTERRUPTED: Final = "InternalError: interrupted"


class _Refused(Exception):
    """A result that does not fit."""


def main(time_seconds: float, memory_bytes: int, parent: int) -> None:
    """Serve the parent, a process id, until it closes the socket."""
    ends_with_parent = end_with_parent(parent)
    way = confine(memory_bytes)
    _reply(HELLO, ReplyStatus.DONE, 0, json.dumps({"way": way}).encode(), b"")
    runner, requests = _Runner(time_seconds, memory_bytes), _Requests()
    alarm = 0.0 if ends_with_parent else max(1.0, _ALARM_FACTOR * time_seconds)
    while (request := requests.next()) is not None:
        number, action, *parts = request
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, alarm)
        began = time.process_time_ns()
        status, found, payload = runner.run(action, *parts)
        took = min((time.process_time_ns() - began) // 1_000, _MICROSECONDS_MAX)
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
        _reply(number, status, took, found, payload)
        if status == ReplyStatus.EXHAUSTED:
            return
        runner.prepare()


class _Requests:
    """Reads requests, of which the parent may send several at once."""

    def __init__(self) -> None:
        self._received = bytearray()

    def next(self) -> tuple[int, int, bytes, bytes, bytes] | None:
        """Return the next request, or None at the end of the input."""
        if not self._fill(REQUEST.size):
            return None
        number, action, *sizes = REQUEST.unpack_from(self._received)
        at = REQUEST.size
        if not self._fill(at + sum(sizes)):
            return None
        parts = []
        for size in sizes:
            parts.append(bytes(memoryview(self._received)[at : at + size]))
            at += size
        del self._received[:at]
        return number, action, parts[0], parts[1], parts[2]

    def _fill(self, size: int) -> bool:
        """Receive until there are `size` bytes; return whether there are."""
        while len(self._received) < size:
            more = os.read(0, max(_READ_BYTES, size - len(self._received)))
            if not more:
                return False
            self._received += more
        return True


def _reply(number: int, status: ReplyStatus, microseconds: int, head: bytes, payload: bytes) -> None:
    rest = memoryview(REPLY.pack(number, status, microseconds, len(head), len(payload)) + head + payload)
    while rest:
        rest = rest[os.write(1, rest) :]


class _Runner:
    def __init__(self, time_seconds: float, memory_bytes: int) -> None:
        self._time_seconds = time_seconds
        self._memory_bytes = memory_bytes
        self._is_reading = False
        """Whether the handler has returned, so that most errors are about the returned value."""
        self._prepared: tuple[Any, Any] | None = None
        """A context that has run nothing but the harness, and the harness."""
        self.prepare()

    def prepare(self) -> None:
        """Make the context of the next run."""
        self._prepared = None
        context = _quickjs.Context()
        context.set_memory_limit(self._memory_bytes)
        context.set_time_limit(self._time_seconds)
        context.set_max_stack_size(_STACK_BYTES)
        self._prepared = context, context.eval(_HARNESS)

    def run(self, action: int, code: bytes, meta: bytes, payload: bytes) -> tuple[ReplyStatus, bytes, bytes]:
        """Run a script; return how it ended, the head and the payload."""
        assert self._prepared is not None  # noqa: S101 - made after each run
        (context, harness), self._prepared = self._prepared, None
        self._is_reading = False
        try:
            return self._run(context, harness, action, (code.decode(), meta.decode(), payload))
        except (_quickjs.JSException, _quickjs.StackOverflow) as error:
            return self._failed(context, str(error))
        except UnicodeError:
            return _failure(ReplyStatus.FAILED, "the result is not valid Unicode text")
        except TypeError:
            return _failure(ReplyStatus.FAILED, "the result cannot be read")
        except _Refused as error:
            return _failure(ReplyStatus.FAILED, str(error))
        except MemoryError:
            return _failure(ReplyStatus.EXHAUSTED, "out of memory")

    def _run(
        self,
        context: Any,  # noqa: ANN401 - the extension has no types
        harness: Any,  # noqa: ANN401
        action: int,
        given: tuple[str, str, bytes],
    ) -> tuple[ReplyStatus, bytes, bytes]:
        code, meta, payload = given
        with contextlib.suppress(TypeError, UnicodeError):  # the value of the script, which is not used
            context.eval(code)
        handler = context.eval(_HANDLER)
        if handler is None:
            raise _Refused("the script must declare a function named handler")
        if action == Action.COMPILE:
            return ReplyStatus.DONE, b"{}", b""
        is_settled = harness("call", handler, meta, _text(payload))
        while not is_settled:
            if not context.execute_pending_job():
                raise _Refused("the promise that handler returned is never settled")
            is_settled = harness("settled")
        self._is_reading = True
        found = harness("head")
        head = _bounded(found and found[1:], HEAD_MAX, "method, url and headers are too large")
        if found[0] == _UNCHANGED:
            return ReplyStatus.UNCHANGED, head, b""
        body = _bounded(harness("body"), PAYLOAD_MAX, f"the payload has more than {PAYLOAD_MAX} bytes")
        return ReplyStatus.DONE, head, body

    def _failed(self, context: Any, text: str) -> tuple[ReplyStatus, bytes, bytes]:  # noqa: ANN401
        # An error in the stack of calls has the place of each call in a line; the first one in the script counts.
        frames = _FRAME.findall(text)
        message = text[: text.find(frames[0])] if frames else text.removesuffix("\n").removesuffix(_NO_STACK)
        message = message.strip()
        if message == _INTERRUPTED:
            return _failure(ReplyStatus.EXPIRED, "the script was stopped: it used its time")
        if message == "InternalError: out of memory" or context.memory()["malloc_size"] > (
            _NEARLY_ALL * self._memory_bytes
        ):
            return _failure(ReplyStatus.EXHAUSTED, "the script was stopped: it used its memory")
        if message == _NULL:
            return _failure(ReplyStatus.EXHAUSTED, "the script was stopped: it used its memory, or it threw null")
        if self._is_reading:
            message = message.removeprefix("TypeError: ")
        places = [found for frame in frames if (found := _PLACE.search(frame)) and _OF_HARNESS not in frame]
        place = (int(places[0][1]), int(places[0][2])) if places else None
        return _failure(ReplyStatus.FAILED, message, place)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise _Refused("the payload of the message is not UTF-8 text") from error


def _bounded(text: str | None, most: int, refusal: str) -> bytes:
    # None is a text that the interpreter had no memory left to copy.
    found = b"" if text is None else text.encode()
    if text is None or len(found) > most:
        raise _Refused(refusal)
    return found


def _failure(status: ReplyStatus, text: str, place: tuple[int, int] | None = None) -> tuple[ReplyStatus, bytes, bytes]:
    error = {"text": text[:_TEXT_MAX].encode(errors="replace").decode(), "place": place}
    return status, json.dumps(error).encode(), b""


if __name__ == "__main__":
    main(float(sys.argv[-3]), int(sys.argv[-2]), int(sys.argv[-1]))
