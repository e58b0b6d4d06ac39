# SPDX-License-Identifier: MIT
"""Follow the messages of an application over HTTP, in the order of their creation and without gaps.

The list of messages continues from the newest message that was read toward the newest one of all; the server omits
whatever an open transaction may still precede, so no message is skipped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import msgspec

from tidings import ids
from tidings.cli.remote import Refused, Remote, RemoteError, Unreachable
from tidings.clock import DAY, HOUR, Clock, rfc3339
from tidings.model import surrogates

PAGE: Final = 50
EXPIRED: Final = b'{"expired":true}'
"""The payload of a message whose payload has been deleted."""
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_CLOCKS_DIFFER_MS: Final = HOUR
"""How far the clock of the server may be behind ours: a list that was empty is followed from that time on."""
_COVERED_MS: Final = 60 * DAY


class RemoteApp(msgspec.Struct):
    """An application as the server returns it."""

    id: str
    name: str


class RemoteMessage(msgspec.Struct, rename="camel"):
    """A message as the server returns it."""

    id: str
    event_type: str
    timestamp: str
    payload: msgspec.Raw = msgspec.Raw(EXPIRED)

    @property
    def body(self) -> bytes | None:
        """The bytes that an endpoint would receive, or None if the payload has been deleted."""
        payload = bytes(self.payload)
        return None if payload == EXPIRED else _raw_text(payload) or payload


class RemoteMessagePage(msgspec.Struct):
    """A page of messages, newest first."""

    data: list[RemoteMessage]


class _RawPayload(msgspec.Struct, forbid_unknown_fields=True):
    """A payload that is not an object, as the server returns it."""

    raw: str


def _raw_text(payload: bytes) -> bytes | None:
    """Return the text of a payload that is not an object; None for an object."""
    try:
        text = msgspec.json.decode(payload, type=_RawPayload).raw.encode()
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return None if surrogates.is_object(text) else text


_app: Final = msgspec.json.Decoder(RemoteApp)
_page: Final = msgspec.json.Decoder(RemoteMessagePage)


@dataclass(frozen=True, slots=True)
class MessagesToFollow:
    """Which messages to follow: the application, the filters, and the start."""

    app_ref: str
    event_types: Sequence[str] = ()
    channel: str | None = None
    since: int | None = None
    """A timestamp in milliseconds; None starts with the next message."""


class Follower:
    """Reads the messages of an application, each one once, oldest first."""

    def __init__(
        self, remote: Remote, wanted: MessagesToFollow, clock: Clock, note: Callable[[str], None] = lambda _: None
    ) -> None:
        """`note` receives a sentence when the server stops responding, and when it responds again."""
        self._remote = remote
        self._wanted = wanted
        self._clock = clock
        self._note = note
        self._path = f"/api/v1/app/{quote(wanted.app_ref, safe='')}"
        self._after = clock.now() - _CLOCKS_DIFFER_MS if wanted.since is None else wanted.since
        self._latest: str | None = None
        self._is_down = False

    def start(self) -> RemoteApp:
        """Find the application and the newest message; raise `RemoteError` if the server does not allow it."""
        try:
            found = _app.decode(self._remote.get(self._path))
            if self._wanted.since is None:
                newest = _page.decode(self._remote.get(f"{self._path}/msg", limit=1, with_content="false")).data
                self._latest = newest[0].id if newest else None
        except Refused as error:
            raise self._explained(error) from error
        return found

    def next_messages(self) -> list[RemoteMessage]:
        """Return the messages since the last call, at most a page; none while the server does not respond."""
        try:
            found = self._read(limit=PAGE, **self._position())
        except Unreachable:
            self._note_state(is_down=True)
            return []
        except Refused as error:
            if error.status != _TOO_MANY and error.status < _SERVER_ERROR:
                raise self._explained(error) from error
            self._note_state(is_down=True)
            return []
        self._note_state(is_down=False)
        fresh = [message for message in reversed(found) if self._latest is None or message.id > self._latest]
        if fresh:
            self._latest = fresh[-1].id
        return fresh

    def _position(self) -> dict[str, object]:
        """Return where the next page begins: a page covers 90 days, so an old message is no place to continue from."""
        earliest = self._clock.now() - _COVERED_MS
        if self._latest is not None and ids.timestamp_of(self._latest) > earliest:
            return {"iterator": f"-{self._latest}"}
        return {"after": rfc3339(max(self._after, earliest))}

    def _read(self, **query: object) -> list[RemoteMessage]:
        """Return a page of the messages that pass the filters, newest first."""
        wanted = self._wanted
        types = ",".join(wanted.event_types) or None
        body = self._remote.get(f"{self._path}/msg", event_types=types, channel=wanted.channel, **query)
        try:
            return _page.decode(body).data
        except msgspec.MsgspecError:
            page: RemoteMessagePage | None = surrogates.decode(_page, body)
            if page is None:
                raise
            return page.data

    def _explained(self, error: Refused) -> RemoteError:
        if error.status != _NOT_FOUND:
            return error
        name = self._wanted.app_ref
        return RemoteError(f"{self._remote.url}: no application has the id or uid {name!r}; check --app and the token")

    def _note_state(self, *, is_down: bool) -> None:
        if is_down != self._is_down:
            self._is_down = is_down
            self._note("The server does not respond; trying again." if is_down else "The server responds again.")
