# SPDX-License-Identifier: MIT
"""A real `tidings serve` process to call, kill and restart.

    with live.serving(database_url, folder, retry_schedule="[1]") as server:
        status, body = server.call("GET", "/api/v1/health")
        server.kill()
        server.restart()

Settings are keyword arguments and reach the process as its only `TIDINGS_*` variables. `server.log()` returns its
output. The end of the block kills the process, by its id.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked import Program
from tidings.clock import SystemClock
from tidings.core.access import issue_org_token
from tidings.ids import DEFAULT_ORG, OrgId

STOP_SECONDS = 15.0
SECRET = "a secret for servers that tests start"
USUAL = {"jwt_secret": SECRET, "whitelist_subnets": "[127.0.0.1/32]"}


class LiveError(Exception):
    """The server did not start or did not stop."""


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(settings: dict[str, Any]) -> dict[str, str]:
    """Return this process's environment with only these `TIDINGS_*` settings."""
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(("TIDINGS_", "SVIX_"))}
    return {**foreign, **{f"TIDINGS_{name.upper()}": str(value) for name, value in settings.items()}}


@dataclass
class Live:
    """A server process that can be stopped in any way and restarted on the same port and database."""

    database_url: str
    folder: Path
    arguments: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    process: Program | subprocess.Popen[bytes] | None = None
    entry: Sequence[str] = ()
    """Python arguments in place of the command."""
    start_seconds: float = 60.0
    """The time within which the server must respond."""
    _trouble: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return self.token_of(DEFAULT_ORG)

    @property
    def pid(self) -> int:
        if self.process is None:
            raise LiveError("the server does not run")
        return self.process.pid

    @property
    def log_file(self) -> Path:
        return self.folder / f"serve-{self.port}.log"

    def log(self) -> str:
        """Return the log of all processes on this port."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def token_of(self, org_id: str) -> str:
        """Return a token of an organization."""
        secret = str(self.settings.get("jwt_secret") or SECRET)
        return issue_org_token(secret, OrgId(org_id), SystemClock().now())

    def start(self) -> None:
        """Start, and return once the server responds. The first start chooses a free port."""
        for _ in range(3):
            self.port = self.port or free_port()
            self._spawn()
            if self._answers():
                return
            said = self.log()
            if "ddress already in use" not in said and "ddress in use" not in said:
                break
            self.port = 0
        raise LiveError(f"{self._trouble}:\n{self.log()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory is short."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        return self._end(signal.SIGTERM)

    def restart(self, **settings: Any) -> None:
        """Restart after an end, optionally with changed settings."""
        if self.process is not None:
            self.stop()
        self.settings |= settings
        self.start()

    def send(self, number: signal.Signals) -> None:
        """Send a signal without waiting for the end."""
        os.kill(self.pid, number)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Make one request on a connection of its own; return the status and the JSON of the response, if any."""
        given = {"authorization": f"Bearer {token or self.token}", **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STOP_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), given)
            answer = connection.getresponse()
            text = answer.read()
        return answer.status, json.loads(text) if text else None

    def _spawn(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        given = {"listen_address": f"127.0.0.1:{self.port}", "db_dsn": self.database_url, **USUAL, **self.settings}
        if not self.entry:
            self.process = Program(
                ["serve", *self.arguments],
                folder=self.folder,
                environment=environment(given),
                out=self.log_file,
                err=self.log_file,
            )
            return
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.entry, "serve", *self.arguments],
                cwd=self.folder,
                env=environment(given),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _answers(self) -> bool:
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline and self.process is not None and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if "--no-api" in self.arguments or self.call("GET", "/api/v1/health/ping")[0] == 204:
                    return True
            time.sleep(0.02)
        assert self.process is not None
        ended = self.process.poll()
        slow = f"the server did not answer within {self.start_seconds:.0f} s (it runs, and may only be slow)"
        self._trouble = slow if ended is None else f"the server ended with {ended} before it answered"
        self._end(signal.SIGKILL)
        return False

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            raise LiveError("the server does not run")
        process, self.process = self.process, None
        process.send_signal(how)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise LiveError(f"the server did not stop within {STOP_SECONDS} s:\n{self.log()[-4000:]}") from None


@contextlib.contextmanager
def serving(database_url: str, folder: Path, *arguments: str, **settings: Any) -> Iterator[Live]:
    """Run a server for the length of a block; `folder` holds its log and is its working directory."""
    server = Live(database_url, folder, arguments, settings)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.kill()
