# SPDX-License-Identifier: MIT
"""A receiver on this machine, as a developer's program is one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

from cli.command import SECONDS

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Arrived:
    """A request that the receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class LocalProgram:
    """A receiver on this machine: keeps what arrives, and responds with a status or in its own way."""

    url: str = ""
    status: int = 204
    respond: Respond | None = None
    arrived: SimpleQueue[Arrived] = field(default_factory=SimpleQueue)

    def next(self) -> Arrived:
        return self.arrived.get(timeout=SECONDS)


@contextmanager
def running() -> Iterator[LocalProgram]:
    """Run a receiver for the length of a block."""
    program = LocalProgram()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            program.arrived.put(Arrived(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            if program.respond is not None:
                program.respond(self)
                return
            self.send_response(program.status)
            self.end_headers()
            if program.status >= 400:
                self.wfile.write(b"no such\x1b[31m table")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        program.url = f"http://127.0.0.1:{server.server_port}/hook?from=tidings"
        yield program
        server.shutdown()
