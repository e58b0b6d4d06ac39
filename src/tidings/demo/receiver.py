# SPDX-License-Identifier: MIT
"""The demo's receiver: a process of its own that checks signatures with the official library and keeps each request.

It prints its port, then serves until its standard input closes (so it never outlives the demo), or for ever with
`--stay`. `POST /hook` receives; `PUT /control` sets the secret and whether it fails; `GET /counts` and `GET /report`
tell what it has seen.
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
class Receiver:
    """What it has been told, and what it has seen."""

    failing: bool = False
    secret: str = ""
    seen: list[tuple[str, str, bool, int]] = field(default_factory=list)
    """Of each request: svix-id, svix-timestamp, whether the signature is right, and the status answered."""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        """Return the status and the body for one request."""
        match method, path:
            case "POST", "/hook":
                return self._receive(headers, body), {}
            case "PUT", "/control":
                told = json.loads(body)
                self.failing = told.get("failing", self.failing)
                self.secret = told.get("secret", self.secret)
                return 200, {}
            case "GET", "/counts":
                good = [status for _, _, _, status in self.seen if status == 200]  # noqa: PLR2004 - HTTP's OK
                return 200, {"good": len(good), "bad": len(self.seen) - len(good)}
            case "GET", "/report":
                return 200, self.seen
            case _:
                return 404, {}

    def _receive(self, headers: dict[str, str], body: bytes) -> int:
        status = 500 if self.failing else 200
        genuine = self._is_genuine(headers, body)
        self.seen.append((headers.get("svix-id", ""), headers.get("svix-timestamp", ""), genuine, status))
        return status

    def _is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except (WebhookVerificationError, ValueError, RuntimeError):
            return False
        return True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection for as long as the other side keeps it."""
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
        status, answer = self.answer(method, path, headers, body)
        text = json.dumps(answer).encode()
        writer.write(f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()


async def main(*, stay: bool) -> None:
    """Listen on a free port of loopback until it is time to go."""
    server = await asyncio.start_server(Receiver().serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    if stay:
        await server.serve_forever()
    await _end_of_input()


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    protocol: Any = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    await reader.read()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then closes our input
    asyncio.run(main(stay="--stay" in sys.argv))
