# SPDX-License-Identifier: MIT
"""The HTTP client of the command line."""

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

_TIMEOUT_SECONDS = 10.0
_SUCCESS = (http.client.OK, http.client.ACCEPTED, http.client.NO_CONTENT)
_HINTS: Mapping[int, str] = {
    401: "the server rejects the token; create one with `tidings jwt generate`",
    403: "the token does not allow this operation",
}


class RemoteError(Exception):
    """A failed call. The message states the remedy."""


class Unreachable(RemoteError):
    """The server does not respond. It may respond later."""


class Refused(RemoteError):
    """A response with an error status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class BadArgumentError(RemoteError):
    """An invalid argument. The message describes valid ones."""


class Remote:
    """A client of one server, with a token."""

    def __init__(self, url: str, token: str | None = None, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._token = token.strip() if token else None
        self._timeout_seconds = timeout_seconds
        if self._token and not (self._token.isascii() and self._token.isprintable()):
            raise RemoteError("the token contains invalid characters; create one with `tidings jwt generate`")
        self._parts: SplitResult = _parts(url.strip().rstrip("/"))
        self._url = f"{self._parts.scheme}://{self._parts.netloc.rpartition('@')[2]}{self._parts.path}"

    @property
    def url(self) -> str:
        """The URL of the server, without a password."""
        return self._url

    def get(self, path: str, **query: object) -> bytes:
        """Return the body of a successful GET. Query values that are None are omitted."""
        return self.send("GET", path, None, **query)

    def send(self, method: str, path: str, body: bytes | None = None, **query: object) -> bytes:
        """Return the body of a successful request. Query values that are None are omitted."""
        if not self._token:
            raise RemoteError("no token: pass --token or set TIDINGS_TOKEN; create one with `tidings jwt generate`")
        given = urlencode({name: value for name, value in query.items() if value is not None})
        status, response = self._request(method, f"{path}?{given}" if given else path, body)
        if status not in _SUCCESS:
            raise Refused(f"{self._url}: {_HINTS.get(status) or detail_of(status, response)}", status)
        return response

    def head(self, path: str) -> int:
        """Return the status of a HEAD request."""
        return self._request("HEAD", path)[0]

    def _request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {"accept": "application/json", "content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        try:
            with closing(self._connection()) as connection:
                connection.request(method, self._parts.path + path, body, headers=headers)
                response = connection.getresponse()
                return response.status, response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"no server responds at {self._url} ({error or type(error).__name__})") from error

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout_seconds)


def _parts(url: str) -> SplitResult:
    """Return the parts of a server URL. An error does not quote the URL, which may contain a password."""
    try:
        parts = urlsplit(url)
        is_valid = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.path
        )
    except ValueError:
        is_valid = False
    if not is_valid or not url.isascii() or not url.isprintable() or " " in url or parts.query or parts.fragment:
        raise RemoteError("the server URL is invalid; use a URL like http://127.0.0.1:8071")
    return parts


def detail_of(status: int, body: bytes) -> str:
    """Return the detail of an error response in any format."""
    try:
        parsed: Any = json.loads(body)
        detail = parsed["detail"]
    except (ValueError, TypeError, KeyError):
        return f"status {status}"
    if isinstance(detail, list):
        detail = "; ".join(_fault(each) for each in detail)
    return f"{detail} (status {status})"


def _fault(fault: Any) -> str:  # noqa: ANN401 - JSON
    """Return the message of one fault, with its location."""
    if not isinstance(fault, dict):
        return str(fault)
    place = ".".join(str(step) for step in fault.get("loc", ())[1:])
    message = str(fault.get("msg", fault))
    return message if not place.strip(".") or place in message else f"{place}: {message}"
