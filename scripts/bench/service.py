# SPDX-License-Identifier: MIT
"""`tidings serve` as its own process, and the few API calls that a measurement needs."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from bench.databases import Measured
from bench.programs import HERE
from tidings.clock import SystemClock
from tidings.core.access import issue_org_token
from tidings.ids import DEFAULT_ORG

START_SECONDS = 30.0
STOP_SECONDS = 30.0
SOURCE = HERE.parents[1] / "src"
SECRET = secrets.token_hex(32)


class Service:
    """A running service."""

    def __init__(
        self,
        folder: Path,
        database: Measured,
        settings: dict[str, str],
        *,
        awaited: bool = True,
        arguments: Sequence[str] = (),
    ) -> None:
        self.port = _free_port()
        self._environment = _environment(
            {
                "db_dsn": database.dsn,
                "listen_address": f"127.0.0.1:{self.port}",
                "jwt_secret": SECRET,
                "whitelist_subnets": "[127.0.0.0/8]",
                **settings,
            }
        )
        self._environment |= {"PYTHONPATH": str(SOURCE), **database.environment}
        self._command = [str(database.interpreter.path), "-m", "tidings", "serve", *arguments]
        self._folder = folder
        token = issue_org_token(SECRET, DEFAULT_ORG, SystemClock().now())
        self.token_file = folder / "token"
        self.token_file.write_text(token)
        self._process = self._spawn()
        self.pid = self._process.pid
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v1",
            headers={"authorization": f"Bearer {token}"},
            timeout=STOP_SECONDS,
        )
        if awaited:
            self._wait()

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Make an API call that must succeed; return its JSON."""
        answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def stop(self) -> None:
        """Send SIGTERM; the exit code must be 0."""
        self._client.close()
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(STOP_SECONDS) != 0:
            raise RuntimeError(f"the service ended with {self._process.returncode}:\n{self.log()}")

    def kill(self) -> None:
        """Kill the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """Return the end of the log."""
        return (self._folder / "serve.log").read_text(errors="replace")[-4000:]

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with (self._folder / "serve.log").open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if self._client.get("/health/ping").is_success:
                    return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the service did not start:\n{self.log()}")


@contextlib.contextmanager
def running(
    folder: Path, database: Measured, *, awaited: bool = True, arguments: Sequence[str] = (), **settings: str
) -> Iterator[Service]:
    """Run the service for a block: from its first response or, without `awaited`, from the spawn."""
    service = Service(folder, database, settings, awaited=awaited, arguments=arguments)
    try:
        yield service
    except BaseException:
        print(service.log(), file=sys.stderr)
        raise
    finally:
        service.kill()


def with_endpoints(service: Service, ports: Sequence[int]) -> tuple[str, list[str]]:
    """Create an application with an endpoint at each port; return their ids."""
    app: str = service.call("POST", "/app", {"name": "bench"})["id"]
    endpoints = [service.call("POST", f"/app/{app}/endpoint", {"url": hook(port)})["id"] for port in ports]
    return app, endpoints


def hook(port: int) -> str:
    """Return the address of an endpoint at a port."""
    return f"http://127.0.0.1:{port}/hook"


def _environment(settings: dict[str, str]) -> dict[str, str]:
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(("TIDINGS_", "SVIX_"))}
    return {**foreign, **{f"TIDINGS_{name.upper()}": value for name, value in settings.items()}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
