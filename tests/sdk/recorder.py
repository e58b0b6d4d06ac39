# SPDX-License-Identifier: MIT
"""A reverse proxy that records which operations of the service were called with success.

It forwards each request and its response, so that an SDK in any language can be observed from outside.
"""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

from tidings.api.routes import PREFIX
from tidings.table import TABLE

_HOP: Final = {"connection", "keep-alive", "content-length", "transfer-encoding"}
_TIMEOUT_SECONDS: Final = 60.0
_ROUTES: Final = [
    (route.operation, re.compile(f"{route.method} {PREFIX}{re.sub('{[^}]*}', '[^/]+', route.path)}"))
    for route in sorted(TABLE, key=lambda route: route.path.count("{"))  # a fixed path precedes a parameter
]


def operation_of(method: str, target: str) -> str | None:
    """Return the operation that a request calls."""
    line = f"{method} {urlsplit(target).path}"
    return next((operation for operation, pattern in _ROUTES if pattern.fullmatch(line)), None)


class Recorder(ThreadingHTTPServer):
    """The proxy of one server."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.target = urlsplit(target).netloc
        self.operations: set[str] = set()
        """The operations that were called and answered without an error."""

    @property
    def url(self) -> str:
        """The URL to call instead of the server's."""
        return f"http://127.0.0.1:{self.server_port}"


class _Forward(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: Recorder

    def _forward(self) -> None:
        body = self._body()
        with closing(http.client.HTTPConnection(self.server.target, timeout=_TIMEOUT_SECONDS)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        operation = operation_of(self.command, self.path)
        if operation is not None and answer.status < http.client.BAD_REQUEST:
            self.server.operations.add(operation)
        self._respond(answer, content)

    def _body(self) -> bytes:
        """Read the body of the request; the SDK for Go sends it in chunks."""
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _respond(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if answer.status != http.client.NO_CONTENT:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - the names that the server looks up

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def recording(target: str) -> Iterator[Recorder]:
    """Run a proxy of a server for the length of a block."""
    with Recorder(target) as recorder:
        thread = threading.Thread(target=recorder.serve_forever, name="recorder")
        thread.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            thread.join()
