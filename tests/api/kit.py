# SPDX-License-Identifier: MIT
"""A client of the API, and the calls that tests repeat."""

from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from tidings import ids
from tidings.api.app import build
from tidings.api.auth import Gatekeeper
from tidings.api.context import Context
from tidings.api.tuning import ApiTuning
from tidings.clock import ManualClock
from tidings.core import api_keys
from tidings.core.accept import AcceptBatcher
from tidings.core.api_keys import KeyDraft, KeyRights, NewKey
from tidings.core.idempotency import Idempotency
from tidings.core.keyring import Keyring
from tidings.core.routing import RoutingCache
from tidings.core.tuning import CoreTuning
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.model.api_key import KeyScope
from tidings.model.attempt import DeliveryEnd, MessageStatus
from tidings.storage.drivers.database import Database
from tidings.storage.tables import settlement
from tidings.storage.tables.settlement import AttemptRow
from tidings.table import TABLE

SECRET: Final = "8KjzRXrKkd9YFcNyqLSIY8JwiaCeRc6WK4UkMnSW"
ORG: Final = OrgId("org_23rb8YdGqMT0qIzpgGwdXfHirMu")
_ATTEMPTS: Final = "SELECT count(*) FROM attempt WHERE msg_id = :msg AND endpoint_id = :endpoint"

Json = dict[str, Any]


@dataclass(slots=True)
class Api:
    """A client with a token. Paths are below `/api/v1`."""

    client: httpx.AsyncClient
    db: Database
    clock: ManualClock
    context: Context
    routing: RoutingCache
    woken: list[str]
    token: str
    keyring: Keyring

    async def key(
        self,
        scope: KeyScope = KeyScope.ORGANIZATION,
        *,
        org: OrgId = ORG,
        app: str | None = None,
        read_only: bool = False,
        lifetime_ms: int | None = None,
    ) -> NewKey:
        """Create an API key; its `text` is the token."""
        owner = MANAGEMENT_ORG if scope is KeyScope.OPERATOR else org
        rights = KeyRights(scope, app, is_read_only=read_only)
        draft = KeyDraft(owner, "test", rights, "test", lifetime_ms)
        return await api_keys.create(self.db, draft, self.clock.now())

    def tuned(self, api: ApiTuning | None = None, core: CoreTuning | None = None) -> "Api":
        """Return an API on the same database with other internal limits."""
        tuning = api or self.context.tuning
        services = replace(self.context.services, tuning=core or self.context.services.tuning)
        acceptor = AcceptBatcher(self.db, self.clock, self.routing, tuning=services.tuning)
        context = replace(
            self.context,
            services=services,
            acceptor=acceptor,
            gatekeeper=Gatekeeper(SECRET, self.clock, keyring=self.keyring, tuning=tuning),
            tuning=tuning,
        )
        return replace(self, client=client_of(context), context=context)

    def over(self, db: Database) -> "Api":
        """Return an API on another database, for example on one that fails."""
        routing = RoutingCache(db)
        services = replace(self.context.services, db=db, idempotency=Idempotency(db, self.clock))
        context = replace(self.context, services=services, acceptor=AcceptBatcher(db, self.clock, routing))
        return replace(self, client=client_of(context), db=db, context=context, routing=routing)

    async def call(
        self, method: str, path: str, *, token: str | None = None, headers: Json | None = None, **more: Any
    ) -> httpx.Response:
        authorization = {"authorization": f"Bearer {self.token if token is None else token}"}
        return await self.client.request(method, f"/api/v1{path}", headers={**authorization, **(headers or {})}, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.call("GET", path, **more)

    async def post(self, path: str, **more: Any) -> httpx.Response:
        return await self.call("POST", path, **more)

    async def read(self, path: str, **params: Any) -> Json:
        """Get a resource that must exist."""
        response = await self.get(path, params=params)
        assert response.status_code == 200, response.text
        found: Json = response.json()
        return found

    async def made(self, path: str, body: Json, **more: Any) -> Json:
        """Create a resource, a millisecond after the previous one."""
        self.clock.advance(ids.STEP_MS)
        response = await self.post(path, json=body, **more)
        assert response.status_code in (200, 201, 202), response.text
        found: Json = response.json()
        return found

    async def app(self, **more: Any) -> str:
        """Create an application and return its id."""
        return str((await self.made("/app", {"name": "acme", **more}))["id"])

    async def endpoint(self, app: str, **more: Any) -> str:
        """Create an endpoint and return its id."""
        body = {"url": "http://example.com/in", **more}
        return str((await self.made(f"/app/{app}/endpoint", body))["id"])

    async def message(self, app: str, **more: Any) -> str:
        """Create a message and return its id."""
        body = {"eventType": "user.signup", "payload": {"a": 1}, **more}
        return str((await self.made(f"/app/{app}/msg", body))["id"])

    async def attempt(
        self,
        app: str,
        endpoint: str,
        msg: str,
        *,
        status: int = 0,
        code: int = 200,
        next_at: int | None = None,
    ) -> str:
        """Store an attempt as delivery does and return its id; `next_at` is the timestamp of a scheduled retry."""
        ended = DeliveryEnd.EXHAUSTED if status == MessageStatus.FAIL and next_at is None else None
        self.clock.advance(ids.STEP_MS)
        attempt = ids.new(ids.ATTEMPT, self.clock.now())
        async with self.db.write() as tx:
            who = (msg, attempt, endpoint, app, ORG, "http://example.com/in")
            [made] = await tx.one(_ATTEMPTS, msg=msg, endpoint=endpoint)
            await settlement.add_attempts(
                tx, [AttemptRow(*who, status, code, "thanks", 12, 0, made + 1, next_at, ended)]
            )
        return attempt


def client_of(context: Context) -> httpx.AsyncClient:
    """Return a client of the API that this context describes."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(build(context, TABLE)), base_url="http://tidings")


def faults(response: httpx.Response) -> list[tuple[list[str], str, str]]:
    """Return the faults of a 422 response, as (place, text, type)."""
    assert response.status_code == 422, response.text
    return [(fault["loc"], fault["msg"], fault["type"]) for fault in response.json()["detail"]]
