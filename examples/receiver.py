# SPDX-License-Identifier: MIT
"""The receiver of the examples: an HTTP server on a free port that verifies each webhook and keeps the genuine ones."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from svix.webhooks import Webhook, WebhookVerificationError

TIMEOUT = 60.0


class Receiver:
    """Answers 204 to a genuine webhook, 400 to a forged one, and 503 to everything while `is_failing` is set."""

    def __init__(self) -> None:
        self.secret = ""
        self.is_failing = False
        self.messages: dict[str, Any] = {}
        """The payload of each message by its `svix-id`: a message that arrives twice counts once."""
        self.forged = 0
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Verify one webhook and return the status to answer."""
        if self.is_failing:
            return 503
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            self.forged += 1
            return 400
        with self._arrived:
            self.messages[headers["svix-id"]] = json.loads(body)
            self._arrived.notify_all()
        return 204

    def wait_for(self, count: int) -> None:
        """Return once `count` messages have arrived; raise `TimeoutError` after a minute."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.messages) >= count, TIMEOUT):
                raise TimeoutError(f"{len(self.messages)} of {count} messages arrived")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.send_response(receiver.receive(headers, body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
                """Print nothing: each example prints its own lines."""

        return Handler
