# SPDX-License-Identifier: MIT
"""Sign a message and post it to a URL on this machine, as the service would send it.

The request has the headers of both families, `webhook-*` and `svix-*`, so a receiver may verify either. Redirects are
not followed. A post ends within its time limit, whatever the receiver does: a timer closes the connection.
"""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from tidings import __version__
from tidings.cli.remote import BadArgumentError
from tidings.clock import SECOND, Clock
from tidings.model.signature import Key, sign_all
from tidings.model.url import InvalidUrl, normalize_url

_RESPONSE_BYTES: Final = 4_096
_SUCCESS: Final = range(200, 300)
_FAMILIES: Final = ("webhook", "svix")
_SHUT_BOTH: Final = 2
"""Ends both directions of a socket."""


@dataclass(frozen=True, slots=True)
class PostResult:
    """The result of one post."""

    status: int | None
    """The status of the response, or None if there was none."""
    duration_ms: int
    detail: str = ""
    """Why there was no response, or the start of the response."""

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver accepted the message."""
        return self.status in _SUCCESS


class LocalReceiver:
    """Posts signed messages to one URL."""

    def __init__(self, url: str, key: Key, clock: Clock, seconds: float) -> None:
        """Raise `BadArgumentError` for a URL that is neither http nor https. A post takes at most `seconds`."""
        try:
            self.url = normalize_url(url)
            parts = urlsplit(self.url)
            self._host, self._port = parts.hostname or "", parts.port
        except (InvalidUrl, ValueError) as error:
            raise BadArgumentError("the URL to post to is invalid; use one like http://localhost:3000/hook") from error
        if parts.username is not None or self._port == 0:
            raise BadArgumentError("the URL to post to may have no user and no port 0")
        self._is_tls = parts.scheme == "https"
        self._target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self._key = key
        self._clock = clock
        self._seconds = seconds

    def post(self, msg_id: str, body: bytes) -> PostResult:
        """Sign a message, post it and return the result; a receiver that fails in any way raises nothing."""
        began = self._clock.monotonic()
        status: int | None = None
        try:
            status, detail = self._exchange(self._headers(msg_id, body), body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            detail = self._reason(error, self._clock.monotonic() - began)
        return PostResult(status, round((self._clock.monotonic() - began) * SECOND), detail)

    def _headers(self, msg_id: str, body: bytes) -> dict[str, str]:
        timestamp = self._clock.now() // SECOND
        signature = sign_all([self._key], msg_id, timestamp, body).decode("ascii")
        headers = {"accept": "*/*", "content-type": "application/json", "user-agent": f"Svix-Webhooks/{__version__}"}
        for family in _FAMILIES:
            headers |= {
                f"{family}-id": msg_id,
                f"{family}-timestamp": str(timestamp),
                f"{family}-signature": signature,
            }
        return headers

    def _exchange(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        with contextlib.closing(kind(self._host, self._port, timeout=self._seconds)) as connection:
            connection.connect()
            with self._ended_in_time(connection):
                connection.request("POST", self._target, body, headers)
                response = connection.getresponse()
                if response.status in _SUCCESS:
                    return response.status, ""
                return response.status, response.read(_RESPONSE_BYTES).decode(errors="replace")

    @contextlib.contextmanager
    def _ended_in_time(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Close the connection at the time limit: the timeout of a socket is one of each read, not of all."""
        timer = threading.Timer(self._seconds, _shut, (connection.sock,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _reason(self, error: Exception, took: float) -> str:
        if isinstance(error, TimeoutError) or took >= self._seconds:
            return f"no response within {self._seconds:g} s"
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        return str(error) or type(error).__name__


def _shut(sock: Any) -> None:  # noqa: ANN401 - a socket
    with contextlib.suppress(OSError):
        sock.shutdown(_SHUT_BOTH)
