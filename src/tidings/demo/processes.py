# SPDX-License-Identifier: MIT
"""The two child processes of the demo: the service, as `tidings serve` runs it, and the receiver."""

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from tidings.config import foreign

HOST: Final = "127.0.0.1"
_LOOK_SECONDS: Final = 0.02
_START_SECONDS: Final = 60.0
_LOG_SHOWN: Final = 2_000


class DemoError(Exception):
    """The demo cannot continue; the message gives the reason."""


async def until(ready: Callable[[], Awaitable[bool]], what: str, seconds: float = _START_SECONDS) -> None:
    """Wait until `ready` returns true; raise `DemoError` after the timeout.

    `what` names the awaited step in the error.
    """
    try:
        async with asyncio.timeout(seconds):
            while not await ready():  # noqa: ASYNC110 - the state is in another process, which sends no events
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError as error:
        raise DemoError(f"{what} took longer than {seconds:.0f} s") from error


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """The service in a child process, with its database in a temporary folder."""

    def __init__(self, **settings: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tidings-demo-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        given = {
            "listen_address": f"{HOST}:{self.port}",
            "db_dsn": f"sqlite:///{self.folder}/tidings.db",
            "jwt_secret": secrets.token_urlsafe(32),
            "whitelist_subnets": [f"{HOST}/32"],
            **settings,
        }
        self.config = self.folder / "tidings.toml"
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items()))

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise DemoError("the service is not running")
        return self._process.pid

    async def start(self) -> None:
        """Start the service and wait until it accepts connections."""
        with (self.folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own program; a fork takes no time
                _tidings("serve", "--config", str(self.config)),
                cwd=self.folder,
                env=foreign(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        await until(self._listens, "starting the service")

    async def _listens(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            log = (self.folder / "serve.log").read_text(errors="replace")
            raise DemoError(f"the service failed to start:\n{log[-_LOG_SHOWN:]}")
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, self.port)
            writer.close()
            return True
        return False

    async def token(self) -> str:
        """Return a token from `tidings jwt generate`."""
        command = _tidings("jwt", "generate", "--config", str(self.config))
        made = await asyncio.to_thread(
            subprocess.run, command, env=foreign(), cwd=self.folder, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise DemoError(f"`tidings jwt generate` failed: {made.stderr}")
        return str(made.stdout).strip().removeprefix("Token (Bearer): ")

    def kill(self) -> None:
        """Kill the process with SIGKILL, so that it cannot clean up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Kill the process if it runs, and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class ReceiverProcess:
    """The receiver in a child process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tidings.demo.receiver"]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            env=foreign(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe above
        line = self._process.stdout.readline()
        self._process.stdout.close()
        if not line:
            self.end()
            raise DemoError("the receiver did not start")
        self.port = int(line)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook"

    @property
    def pid(self) -> int:
        return self._process.pid

    async def configure(self, **changes: object) -> None:
        """Set the receiver's `secret`, or whether it is `failing`."""
        await asyncio.to_thread(self._call, "PUT", "/control", changes)

    async def counts(self) -> tuple[int, int]:
        """Return how many requests succeeded and how many failed."""
        counted = await asyncio.to_thread(self._call, "GET", "/counts")
        return counted["succeeded"], counted["failed"]

    async def report(self) -> list[tuple[str, str, bool, int]]:
        """Return every request that the receiver got, in order of arrival."""
        seen = await asyncio.to_thread(self._call, "GET", "/report")
        return [(msg_id, timestamp, is_valid, status) for msg_id, timestamp, is_valid, status in seen]

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body))
            return json.loads(connection.getresponse().read())

    def end(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _tidings(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tidings", *arguments]
