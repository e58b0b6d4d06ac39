# SPDX-License-Identifier: MIT
"""How `tidings keys` reaches the keys: in the database, or through the server that has the SQLite file open.

Who can read the SQLite file can read the secret in it with which the server verifies tokens of the command line. So
those commands need no key to create the first one, as little as on PostgreSQL.
"""

import asyncio
from urllib.parse import urlencode

from tidings.cli.remote import Remote, RemoteError, detail_of
from tidings.clock import SystemClock
from tidings.core.access import issue_operator_token, stored_operator_secret
from tidings.server import local_api
from tidings.settings import ConfigError, Settings
from tidings.storage.drivers.database import Unavailable

_SUCCESS = range(200, 300)
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to listen on, not to call


class LocalKeys:
    """The keys of a database, with the methods of `Remote`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, path: str, **query: object) -> bytes:
        """Return the body of a successful GET. Query values that are None are omitted."""
        return self.send("GET", path, b"", **query)

    def send(self, method: str, path: str, body: bytes, **query: object) -> bytes:
        """Return the body of a successful request. Query values that are None are omitted."""
        given = urlencode({name: value for name, value in query.items() if value is not None})
        try:
            status, response = asyncio.run(local_api.call(self._settings, method, f"{path}?{given}", body))
        except Unavailable:
            server = _running_server(self._settings, None)
            if server is None:
                raise
            return server.send(method, path, body, **query)
        if status not in _SUCCESS:
            raise RemoteError(detail_of(status, response))
        return response


def access(settings: Settings, url: str | None, token: str | None) -> Remote | LocalKeys:
    """Return the access to the keys: at a URL with a token, or else in the database of the settings."""
    if url is None:
        return LocalKeys(settings)
    if token:
        return Remote(url, token)
    server = _running_server(settings, url)
    if server is None:
        raise ConfigError("--url needs a key: pass --token or set TIDINGS_TOKEN")
    return server


def _running_server(settings: Settings, url: str | None) -> Remote | None:
    """Return the server that has the SQLite file of the settings open; None without such a file."""
    path = settings.sqlite_path
    secret = None if path is None else stored_operator_secret(path)
    if secret is None:
        return None
    if url is None:
        host, port = settings.listen
        host = _ANY_ADDRESS.get(host, host)
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return Remote(url, issue_operator_token(secret, SystemClock().now()))
