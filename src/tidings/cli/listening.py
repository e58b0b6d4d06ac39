# SPDX-License-Identifier: MIT
"""The work of `tidings listen`: follow messages, post each one to a local URL, and print a line for it."""

import time
from typing import Final, NoReturn

import msgspec
import typer

from tidings.cli.following import Follower, RemoteMessage
from tidings.cli.local_receiver import LocalReceiver, PostResult
from tidings.clock import Clock, rfc3339

_POLL_SECONDS: Final = 0.5
_TYPE_WIDTH: Final = 24
_STATUS_WIDTH: Final = 6
_DETAIL_CHARACTERS: Final = 120
_DELETED: Final = PostResult(None, 0, "the payload has been deleted, so nothing was posted")
_NO_STATUS: Final = "failed"


class _PostedMessage(msgspec.Struct, rename="camel"):
    """A posted message as a line of JSON."""

    id: str
    event_type: str
    timestamp: str
    posted_at: str
    status: int | None
    duration_ms: int
    detail: str | None


class ListenLog:
    """Prints a line for each message, and notes: to standard error if the lines are JSON."""

    def __init__(self, *, as_json: bool, quiet: bool, colored: bool, clock: Clock) -> None:
        """`quiet` leaves out messages that the receiver accepted."""
        self._as_json = as_json
        self._quiet = quiet
        self._colored = colored
        self._clock = clock
        self._delivered = 0
        self._failed = 0

    def note(self, text: str) -> None:
        """Print a sentence between the messages."""
        typer.echo(text, err=self._as_json)

    def message(self, message: RemoteMessage, result: PostResult) -> None:
        """Count a message, and print its line."""
        self._delivered += result.is_delivered
        self._failed += not result.is_delivered
        if self._quiet and result.is_delivered:
            return
        typer.echo(self._json(message, result) if self._as_json else self._line(message, result))

    def summary(self) -> str:
        """Return how many messages the receiver accepted, and how many it did not."""
        total = self._delivered + self._failed
        text = f"{total:,} {'message' if total == 1 else 'messages'}: {self._delivered:,} delivered"
        return f"{text}, {self._failed:,} failed." if self._failed else f"{text}."

    def _json(self, message: RemoteMessage, result: PostResult) -> bytes:
        return msgspec.json.encode(
            _PostedMessage(
                message.id,
                message.event_type,
                message.timestamp,
                rfc3339(self._clock.now()),
                result.status,
                result.duration_ms,
                result.detail or None,
            )
        )

    def _line(self, message: RemoteMessage, result: PostResult) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(self._clock.now() / 1_000))
        status = f"{result.status or _NO_STATUS!s:<{_STATUS_WIDTH}}"
        if self._colored:
            status = typer.style(status, fg="green" if result.is_delivered else "red")
        line = f"{at}  {_printable(message.event_type):<{_TYPE_WIDTH}}  {_printable(message.id)}  {status}"
        detail = _printable(result.detail.strip())[:_DETAIL_CHARACTERS]
        return f"{line}  {result.duration_ms:>5,} ms{'  ' if detail else ''}{detail}"


def _printable(text: str) -> str:
    """Return a text in one line, without characters that would control the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def run(follower: Follower, receiver: LocalReceiver, log: ListenLog, secret: str) -> None:
    """Post each new message until the process is interrupted, and print a line for each."""
    app = follower.start()
    log.note(f"Posting the messages of {_printable(app.name)} ({app.id}) to {receiver.url}")
    log.note(f"Secret: {secret}")
    try:
        _post_all(follower, receiver, log)
    except KeyboardInterrupt:
        log.note(log.summary())


def _post_all(follower: Follower, receiver: LocalReceiver, log: ListenLog) -> NoReturn:
    while True:
        found = follower.next_messages()
        for message in found:
            body = message.body
            log.message(message, _DELETED if body is None else receiver.post(message.id, body))
        if not found:
            time.sleep(_POLL_SECONDS)
