# SPDX-License-Identifier: MIT
"""What a child is sent, and how its reply is read: as the words of a stranger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tidings.model.transformation import Script, ScriptError, Webhook
from tidings.sandbox.frames import REQUEST, Action, ReplyStatus

_TEXT_MAX: Final = 500
_NOT_UNICODE: Final = "method, url and headers must be valid Unicode text"


class _Failure(msgspec.Struct):
    text: str
    place: tuple[int, int] | None


_FAILURE: Final = msgspec.json.Decoder(_Failure)
_HEAD: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request to a child."""

    action: Action
    code: bytes
    webhook: bytes = b"{}"
    payload: bytes = b""

    def frame(self, number: int) -> bytes:
        """Return the frame of the request."""
        head = REQUEST.pack(number, self.action, len(self.code), len(self.webhook), len(self.payload))
        return b"".join((head, self.code, self.webhook, self.payload))


@dataclass(frozen=True, slots=True)
class Returned:
    """The values that a script returned, unchecked. `payload` is None if it is as it was given."""

    values: Mapping[str, Any]
    payload: bytes | None


def compile_request(code: str) -> Request:
    """Return the request to compile a script."""
    return Request(Action.COMPILE, _encoded(code))


def run_request(script: Script, webhook: Webhook) -> Request:
    """Return the request to run a script."""
    given = {
        "method": "POST",
        "url": webhook.url,
        "eventType": webhook.event_type,
        "channels": webhook.channels,
        "headers": {},
        "env": script.variables,
        "cancel": False,
    }
    return Request(Action.RUN, _encoded(script.code), msgspec.json.encode(given), webhook.payload)


def result_of(status: int, head: bytes, payload: bytes) -> Returned | ScriptError:
    """Return the result of a run from the parts of its reply."""
    try:
        if status in (ReplyStatus.DONE, ReplyStatus.UNCHANGED):
            return Returned(_HEAD.decode(head), None if status == ReplyStatus.UNCHANGED else payload)
        failure = _FAILURE.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ScriptError(_NOT_UNICODE)  # or the words of a child that no script should have reached
    line, column = failure.place or (None, None)
    return ScriptError(failure.text[:_TEXT_MAX], line=line, column=column, is_timeout=status == ReplyStatus.EXPIRED)


def _encoded(code: str) -> bytes:
    return code.encode(errors="replace")  # half of a surrogate pair in a script is a character that it cannot use
