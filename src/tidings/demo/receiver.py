# SPDX-License-Identifier: MIT
"""The demo's receiver: verifies signatures with the official library and records each request.

It prints its port, then serves until its standard input closes, so that it never outlives the demo. `POST /hook`
receives a webhook, `PUT /control` sets the secret and whether requests fail, `GET /counts` and `GET /report` return the
recorded requests.
"""

import asyncio
import json
import signal
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from svix import Webhook, WebhookVerificationError

_REASONS: Final = {200: "OK", 404: "Not Found", 500: "Internal Server Error"}


@dataclass
class DemoReceiver:
    """The receiver's settings and recorded requests."""

    failing: bool = False
    secret: str = ""
    seen: list[tuple[str, str, bool, int]] = field(default_factory=list)
    """Per request: svix-id, svix-timestamp, whether the signature is valid, and the response status."""

    def respond(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        """Return the status and the JSON body of the response to a request."""
        match method, path:
            case "POST", "/hook":
                return self._receive(headers, body), {}
            case "PUT", "/control":
                changes = json.loads(body)
                self.failing = changes.get("failing", self.failing)
                self.secret = changes.get("secret", self.secret)
                return 200, {}
            case "GET", "/counts":
                succeeded = sum(status == 200 for _, _, _, status in self.seen)  # noqa: PLR2004 - the OK of HTTP
                return 200, {"succeeded": succeeded, "failed": len(self.seen) - succeeded}
            case "GET", "/report":
                return 200, self.seen
            case _:
                return 404, {}

    def _receive(self, headers: dict[str, str], body: bytes) -> int:
        status = 500 if self.failing else 200
        is_valid = self._verify(headers, body)
        self.seen.append((headers.get("svix-id", ""), headers.get("svix-timestamp", ""), is_valid, status))
        return status

    def _verify(self, headers: dict[str, str], body: bytes) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except (WebhookVerificationError, ValueError, RuntimeError):
            return False
        return True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until the client closes it."""
        try:
            while True:
                await self._exchange(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head[:-4].split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = line.split(" ", 2)
        status, response = self.respond(method, path, headers, body)
        text = json.dumps(response).encode()
        writer.write(f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()


async def main() -> None:
    """Listen on a free port of loopback until standard input closes."""
    server = await asyncio.start_server(DemoReceiver().serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await _end_of_input()


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    protocol: Any = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    await reader.read()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the demo handles Ctrl-C and then closes our input
    asyncio.run(main())
