# SPDX-License-Identifier: MIT
"""Tokens of the users of an application: whom they are made for, and how they end before their time.

An end is a row that says whose tokens (all of an application's, those of a session, a single one), issued before
which timestamp, count no more, and from when. Every call with such a token looks for a row, in the database: no node
takes a token that another node has ended.
"""

from collections.abc import Callable, Sequence
from typing import Final

from tidings.clock import DAY
from tidings.core import apps
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import AppError, forbidden, not_found, unauthorized
from tidings.ids import OrgId
from tidings.model.app import App, AppDraft
from tidings.model.token import Principal
from tidings.storage import apps as stored
from tidings.storage import tokens
from tidings.storage.database import Database, StorageError, Write, retried

_EVERYBODY: Final = ""
_EVER: Final = 2**62
_KEPT_MS: Final = 400 * DAY
EXPIRE_MAX_SECONDS: Final = 3 * 24 * 60 * 60


async def app_for(services: Services, org_id: OrgId, ref: str, draft: Callable[[], AppDraft] | None) -> App:
    """Return the application that a token is wanted for, made in passing if that is asked for.

    A draft is made only where there is no application; until then its uid need not be the one in the path.
    """
    async with services.db.read() as read:
        app = await stored.find(read, org_id, ref)
    if app is not None:
        return app
    if draft is None:
        raise not_found("Application not found")
    return await apps.have(services, org_id, draft())


async def issue_timestamp(services: Services, idempotency_key: str | None) -> int:
    """Return when a token is to have been issued: a request that is repeated with its key makes the same token again.

    The timestamp is what is kept under the key; the token itself is kept nowhere.
    """
    now = services.clock.now()
    if idempotency_key is None:
        return now

    async def work(tx: Write) -> int:
        del tx
        return now

    kept = await services.idempotency.once(idempotency_key, work, lambda timestamp: Response(200, b"%d" % timestamp))
    return int(kept.body)


async def require_live(services: Services, principal: Principal) -> None:
    """Hold that an application's token has not been ended before its time."""
    if principal.app_id is None or principal.token is None:
        return
    token = principal.token
    whose = [_EVERYBODY, f"token:{token.digest}"] + ([f"session:{token.session}"] if token.session else [])
    async with services.db.read() as read:
        if await tokens.is_ended(read, principal.app_id, whose, issued_at=token.issued_at, now=services.clock.now()):
            raise unauthorized()


async def is_live(services: Services, principal: Principal) -> bool:
    """Tell whether a token that counted once has neither run out nor been ended since, as far as can be known."""
    if services.clock.now() > principal.until:
        return False
    try:
        await require_live(services, principal)
    except AppError:
        return False
    except StorageError:  # it is asked again soon
        return True
    return True


async def end(services: Services, principal: Principal) -> None:
    """End the token that somebody calls with; that of an organisation cannot be ended."""
    if principal.app_id is None or principal.token is None:
        raise forbidden()
    app_id, whose = principal.app_id, f"token:{principal.token.digest}"

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.clock.now()
            await tokens.end(tx, app_id, [whose], issued_before=_EVER, ends_at=now)

    await retried(work)


async def end_all(services: Services, app: App, sessions: Sequence[str], after_ms: int) -> None:
    """End the tokens that an application's users have by now, or those of some sessions, after a while."""
    whose = [f"session:{session}" for session in dict.fromkeys(sessions)] or [_EVERYBODY]

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.clock.now()
            await tokens.end(tx, app.id, whose, issued_before=now + 1, ends_at=now + after_ms)

    await retried(work)


async def prune_ended(db: Database, now: int) -> None:
    """Delete the ends of tokens that have run out by themselves long ago."""
    async with db.write() as tx:
        await tokens.prune(tx, before=now - _KEPT_MS)
