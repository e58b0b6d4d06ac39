# SPDX-License-Identifier: MIT
"""The program of a child process: runs one script at a time, each in a context of its own.

The parent starts it with an empty environment and no descriptor but its socket, and holds the time limit: it kills a
child that is late. The limits here make most ends orderly, and cheaper than a new process. An alarm ends the child
if its parent has ended in the meantime.
"""

import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, Final

import _quickjs  # type: ignore[import-not-found]  # of the extra; the parent has found it

from tidings.sandbox.confinement import confine
from tidings.sandbox.frames import HEAD_MAX, HELLO, PAYLOAD_MAX, REPLY, REQUEST, Action, ReplyStatus

_STACK_BYTES: Final = 256 << 10
_TEXT_MAX: Final = 500
_NEARLY_ALL: Final = 0.75
_ALARM_FACTOR: Final = 20
_HARNESS: Final = (Path(__file__).parent / "harness.js").read_text()
_FRAME: Final = re.compile(r"\n    at [^\n]*")
_PLACE: Final = re.compile(r"<input>:(\d{1,9}):(\d{1,9})\)?$")
_OF_HARNESS: Final = "at tidings$"
_NO_STACK: Final = "\nundefined"
"""The end of the text of a thrown value that is no error."""
_INTERRUPTED: Final = "InternalError: interrupted"


class _Refused(Exception):
    """A result that does not fit."""


def main(time_seconds: float, memory_bytes: int) -> None:
    """Serve the parent until it closes the socket."""
    way = confine(memory_bytes)
    _reply(HELLO, ReplyStatus.DONE, json.dumps({"way": way}).encode(), b"")
    runner = _Runner(time_seconds, memory_bytes)
    while head := _read(REQUEST.size):
        number, action, *sizes = REQUEST.unpack(head)
        parts = [_read(size) for size in sizes]
        signal.setitimer(signal.ITIMER_REAL, max(1.0, _ALARM_FACTOR * time_seconds))
        status, found, payload = runner.run(Action(action), *parts)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _reply(number, status, found, payload)
        if status == ReplyStatus.EXHAUSTED:
            return


def _read(size: int) -> bytes:
    """Read exactly `size` bytes; return nothing at the end of the input."""
    found = b""
    while len(found) < size:
        more = os.read(0, size - len(found))
        if not more:
            return b""
        found = found + more if found else more
    return found


def _reply(number: int, status: ReplyStatus, head: bytes, payload: bytes) -> None:
    rest = memoryview(REPLY.pack(number, status, len(head), len(payload)) + head + payload)
    while rest:
        rest = rest[os.write(1, rest) :]


class _Runner:
    def __init__(self, time_seconds: float, memory_bytes: int) -> None:
        self._time_seconds = time_seconds
        self._memory_bytes = memory_bytes
        self._is_reading = False
        """Whether the handler has returned, so that most errors are about the returned value."""

    def run(self, action: Action, code: bytes, meta: bytes, payload: bytes) -> tuple[ReplyStatus, bytes, bytes]:
        """Run a script; return how it ended, the head and the payload."""
        context = self._context()
        try:
            return self._run(context, action, code, meta, payload)
        except (_quickjs.JSException, _quickjs.StackOverflow) as error:
            return self._failed(context, str(error))
        except UnicodeError:
            return _failure(ReplyStatus.FAILED, "the result is not valid Unicode text")
        except _Refused as error:
            return _failure(ReplyStatus.FAILED, str(error))
        except MemoryError:
            return _failure(ReplyStatus.EXHAUSTED, "out of memory")

    def _context(self) -> Any:  # noqa: ANN401 - the extension has no types
        context = _quickjs.Context()
        context.set_memory_limit(self._memory_bytes)
        context.set_time_limit(self._time_seconds)
        context.set_max_stack_size(_STACK_BYTES)
        return context

    def _run(
        self,
        context: Any,  # noqa: ANN401
        action: Action,
        code: bytes,
        meta: bytes,
        payload: bytes,
    ) -> tuple[ReplyStatus, bytes, bytes]:
        self._is_reading = False
        harness = context.eval(_HARNESS)
        with contextlib.suppress(TypeError, UnicodeError):  # the value of the script, which is not used
            context.eval(code.decode())
        if context.eval("typeof handler") != "function":
            raise _Refused("the script must declare a function named handler")
        if action == Action.COMPILE:
            return ReplyStatus.DONE, b"{}", b""
        harness("call", context.eval("handler"), meta.decode(), _text(payload))
        while not harness("settled"):
            if not context.execute_pending_job():
                raise _Refused("the promise that handler returned is never settled")
        self._is_reading = True
        head = _bounded(harness("head"), HEAD_MAX, "method, url and headers are too large")
        if harness("unchanged"):
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
    main(float(sys.argv[-2]), int(sys.argv[-1]))
