# SPDX-License-Identifier: MIT
"""`GET /metrics` on a listener of its own, apart from the API: it needs no token and has no other path."""

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

import uvicorn
from prometheus_client import make_asgi_app

from tidings.api.connection import ConnectionLimits, ServerConnection
from tidings.api.lifetime import DefaultHeaders
from tidings.api.tuning import ApiTuning
from tidings.clock import Clock
from tidings.logs import log
from tidings.metrics.exposition import registry_of
from tidings.metrics.snapshot import Snapshot
from tidings.observe import failure
from tidings.process.http import HttpServer

_PATH: Final = "/metrics"
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_CONNECTIONS: Final = 32
_BYTES: Final = 1 << 20

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


def metrics_app(take: Callable[[], Awaitable[Snapshot]], clock: Clock) -> _App:
    """Return the ASGI application that responds with the snapshot that `take` returns."""

    async def app(scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].rstrip("/") != _PATH:
            await _respond(send, HTTPStatus.NOT_FOUND, f"The metrics are at {_PATH}.")
            return
        if scope["method"] not in ("GET", "HEAD"):
            await _respond(send, HTTPStatus.METHOD_NOT_ALLOWED, f"Use GET {_PATH}.", (b"allow", b"GET, HEAD"))
            return
        try:
            registry = registry_of(await take(), clock.now())
        except Exception as error:  # noqa: BLE001 - the service goes on without its metrics
            failure("taking the metrics", error)
            await _respond(send, HTTPStatus.INTERNAL_SERVER_ERROR, "The metrics are not available; see the log.")
            return
        await make_asgi_app(registry, disable_compression=True)(scope, receive, send)

    return app


async def _respond(send: _Send, status: HTTPStatus, text: str, *more: tuple[bytes, bytes]) -> None:
    body = f"{text}\n".encode()
    headers = [_TEXT, (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class MetricsServer:
    """Serves the metrics on a bound socket, within small limits on connections, bytes and time."""

    def __init__(self, listener: socket.socket, take: Callable[[], Awaitable[Snapshot]], clock: Clock) -> None:
        self._listener = listener
        limits = ConnectionLimits(_CONNECTIONS, _BYTES, _BYTES)
        shared = {"bounds": limits, "tuning": ApiTuning(), "default_headers": DefaultHeaders()}
        self._http = HttpServer(
            uvicorn.Config(
                metrics_app(take, clock),
                http=type("MetricsConnection", (ServerConnection,), shared),
                proxy_headers=False,
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=1,
                backlog=_CONNECTIONS,
            )
        )

    async def run(self) -> None:
        """Serve until `stop`."""
        host, port = self._listener.getsockname()[:2]
        log.info("metrics.started", "the metrics are served", address=f"{host}:{port}")
        await self._http.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Stop soon."""
        self._http.should_exit = True
