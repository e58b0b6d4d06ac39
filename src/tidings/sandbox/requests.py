# SPDX-License-Identifier: MIT
"""What a child is sent, and how its reply is read: as the words of a stranger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tidings.model.transformation import Script, ScriptError, ScriptFault, Webhook
from tidings.sandbox.frames import REQUEST, Action, ReplyStatus

_TEXT_MAX: Final = 500
_NOT_UNICODE: Final = "method, url and headers must be valid Unicode text"


class _Failure(msgspec.Struct):
    text: str
    place: tuple[int, int] | None


_FAILURE: Final = msgspec.json.Decoder(_Failure)
_HEAD: Final = msgspec.json.Decoder(dict[str, Any])
_FAULTS: Final[Mapping[int, ScriptFault]] = {
    ReplyStatus.EXPIRED: ScriptFault.TIMEOUT,
    ReplyStatus.EXHAUSTED: ScriptFault.MEMORY,
}
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request to a child."""

    action: Action
    code: bytes
    webhook: bytes = b"{}"
    payload: bytes = b""

    @property
    def size(self) -> int:
        """The bytes of the request, without the head of its frame."""
        return len(self.code) + len(self.webhook) + len(self.payload)

    def frame(self, number: int) -> tuple[bytes, bytes, bytes, bytes]:
        """Return the parts of the frame of the request."""
        head = REQUEST.pack(number, self.action, len(self.code), len(self.webhook), len(self.payload))
        return head, self.code, self.webhook, self.payload


@dataclass(frozen=True, slots=True)
class Returned:
    """The values that a script returned, unchecked. `payload` is None if it is as it was given."""

    values: Mapping[str, Any]
    payload: bytes | None


def compile_request(code: str) -> Request:
    """Return the request to compile a script."""
    return Request(Action.COMPILE, _encoded(code))


class ScriptRequests:
    """Makes the requests to run one script: what they share is encoded once."""

    __slots__ = ("_code", "_variables", "size")

    def __init__(self, script: Script) -> None:
        self._code = _encoded(script.code)
        self._variables = msgspec.Raw(msgspec.json.encode(script.variables))
        self.size = len(self._code) + len(self._variables)
        """The bytes that it takes, roughly."""

    def to_run(self, webhook: Webhook) -> Request:
        """Return the request to run the script."""
        given: dict[str, object] = {
            "method": "POST",
            "url": webhook.url,
            "eventType": webhook.event_type,
            "channels": webhook.channels,
            "headers": {},
            "env": self._variables,
            "cancel": False,
        }
        return Request(Action.RUN, self._code, _encode(given), webhook.payload)


def run_request(script: Script, webhook: Webhook) -> Request:
    """Return the request to run a script once."""
    return ScriptRequests(script).to_run(webhook)


def result_of(status: int, head: bytes, payload: bytes) -> Returned | ScriptError:
    """Return the result of a run from the parts of its reply."""
    try:
        if status in (ReplyStatus.DONE, ReplyStatus.UNCHANGED):
            return Returned(_HEAD.decode(head), None if status == ReplyStatus.UNCHANGED else payload)
        failure = _FAILURE.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ScriptError(_NOT_UNICODE)  # or the words of a child that no script should have reached
    line, column = failure.place or (None, None)
    fault = _FAULTS.get(status, ScriptFault.ERROR)
    return ScriptError(failure.text[:_TEXT_MAX], line=line, column=column, fault=fault)


def _encoded(code: str) -> bytes:
    return code.encode(errors="replace")  # half of a surrogate pair in a script is a character that it cannot use
