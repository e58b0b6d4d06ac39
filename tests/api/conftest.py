# SPDX-License-Identifier: MIT
"""The API over a real database of each kind, called as a client calls it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from api.kit import ORG, SECRET, Api, client_of
from api.sockets import Wire, listening
from tidings.api.auth import Gatekeeper
from tidings.api.context import Context
from tidings.clock import ManualClock
from tidings.core.accept import AcceptBatcher
from tidings.core.access import issue_org_token
from tidings.core.idempotency import Idempotency
from tidings.core.keyring import Keyring
from tidings.core.notifier import Notifier
from tidings.core.routing import RoutingCache
from tidings.core.services import Services
from tidings.sandbox.pool import Sandbox, SandboxOptions
from tidings.sandbox.process import Limits
from tidings.storage.drivers.store import opened
from tidings.tasks.catch_up import CATCHING_UP
from tidings.tasks.estimator import Estimator
from tidings.tasks.registry import FIRST_RATES, KINDS, handlers


@pytest_asyncio.fixture
async def api(migrated_url: str) -> AsyncIterator[Api]:
    """Give the API on both databases, with a stopped clock."""
    async for api in opened_api(migrated_url):
        yield api


@pytest_asyncio.fixture
async def lite(migrated_sqlite_url: str) -> AsyncIterator[Api]:
    """Give the API on SQLite alone, for facts that do not depend on the database."""
    async for api in opened_api(migrated_sqlite_url):
        yield api


@pytest_asyncio.fixture
async def wire(lite: Api) -> AsyncIterator[Wire]:
    """Give the API on a real socket."""
    async with listening(lite) as wire:
        yield wire


async def opened_api(url: str) -> AsyncIterator[Api]:
    db = await opened(url)
    clock = ManualClock()
    routing = RoutingCache(db)
    woken: list[str] = []
    keyring = Keyring(db, clock)
    keyring.hear({}, asked_at=float("inf"), now=clock.now())
    notifier = Notifier(deliveries=woken.extend, routing=routing.drop, keys=keyring.drop)
    sandbox = Sandbox(SandboxOptions(Limits(3.0)))  # slow machines get time; scripts that need it all are few
    services = Services(db, clock, notifier, Idempotency(db, clock), KINDS, sandbox=sandbox)
    acceptor = AcceptBatcher(db, clock, routing)
    estimate = Estimator(db, clock, handlers(clock, notifier), FIRST_RATES).estimate
    context = Context(
        services=services,
        acceptor=acceptor,
        gatekeeper=Gatekeeper(SECRET, clock, keyring=keyring),
        estimate=estimate,
        catching_up=CATCHING_UP,
    )
    keyring.on_change = context.task_watcher.recheck_access
    async with client_of(context) as client:
        token = issue_org_token(SECRET, ORG, clock.now())
        yield Api(
            client=client,
            db=db,
            clock=clock,
            context=context,
            routing=routing,
            woken=woken,
            token=token,
            keyring=keyring,
        )
    await context.task_watcher.close()
    await acceptor.close()
    await sandbox.close()
    await db.close()
