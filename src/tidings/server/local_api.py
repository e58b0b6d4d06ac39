# SPDX-License-Identifier: MIT
"""One request of an operator to the API, in this process: for commands that need the database and no server."""

import secrets
from typing import Any, Final
from urllib.parse import urlsplit

from tidings.api.app import build
from tidings.api.auth import Gatekeeper
from tidings.api.context import Context
from tidings.clock import SystemClock
from tidings.core.accept import AcceptBatcher
from tidings.core.access import TokenSecrets, issue_operator_token
from tidings.core.idempotency import Idempotency
from tidings.core.notifier import Notifier
from tidings.core.routing import RoutingCache
from tidings.core.services import Services
from tidings.server.database import open_database
from tidings.settings import Settings
from tidings.storage.drivers.database import Database
from tidings.table import TABLE

_SECRET_BYTES: Final = 32


async def call(settings: Settings, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    """Open the database, run one request as an operator, and return the status and the body of the response.

    Raises the errors of `open_database`; a SQLite file is migrated, as a server would do.
    """
    db = await open_database(settings, migrate=settings.sqlite_path is not None)
    try:
        return await _respond(db, method, target, body)
    finally:
        await db.close()


async def _respond(db: Database, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    clock, operator = SystemClock(), secrets.token_urlsafe(_SECRET_BYTES)
    context = Context(
        services=Services(db, clock, Notifier(), Idempotency(db, clock)),
        acceptor=AcceptBatcher(db, clock, RoutingCache(db)),
        gatekeeper=Gatekeeper(TokenSecrets(secrets.token_urlsafe(_SECRET_BYTES), operator=operator), clock),
    )
    token = issue_operator_token(operator, clock.now())
    parts = urlsplit(target)
    scope = {
        "type": "http",
        "method": method,
        "path": parts.path,
        "query_string": parts.query.encode(),
        "scheme": "http",
        "headers": [
            (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ],
    }
    status, received = 0, bytearray()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - an event of ASGI
        nonlocal status
        status = message.get("status", status)
        received.extend(message.get("body", b""))

    await build(context, TABLE)(scope, receive, send)
    return status, bytes(received)
