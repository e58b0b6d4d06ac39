# SPDX-License-Identifier: MIT
"""Tokens of the users of an application: the application that they belong to, and their revocation.

A revocation is a row with the tokens that it affects (all of an application, of one session, or a single one), the
timestamp before which they were issued, and the time from which they are invalid. Every request with such a token reads
these rows from the database, so no node accepts a token that another node has revoked.
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
from tidings.storage.drivers.database import Database, StorageError, Write, retried
from tidings.storage.tables import apps as stored

_ALL_TOKENS: Final = ""
_ANY_TIME: Final = 2**62
_RETENTION_MS: Final = 400 * DAY
EXPIRE_MAX_SECONDS: Final = 3 * 24 * 60 * 60


async def app_for(services: Services, org_id: OrgId, ref: str, draft: Callable[[], AppDraft] | None) -> App:
    """Return the application for a new token; create it from the draft if it does not exist.

    `draft` is called only if the application does not exist, and only then must its uid match `ref`.
    """
    async with services.db.read() as read:
        app = await stored.find(read, org_id, ref)
    if app is not None:
        return app
    if draft is None:
        raise not_found("Application not found")
    return await apps.get_or_create(services, org_id, draft())


async def issue_timestamp(services: Services, idempotency_key: str | None) -> int:
    """Return the issue time of a new token; a request repeated with the same key gets the same token.

    The idempotency record stores only the timestamp; the token itself is stored nowhere.
    """
    now = services.clock.now()
    if idempotency_key is None:
        return now

    async def work(tx: Write) -> int:
        del tx
        return now

    stored_response = await services.idempotency.once(
        idempotency_key, work, lambda timestamp: Response(200, b"%d" % timestamp)
    )
    return int(stored_response.body)


async def require_live(services: Services, principal: Principal) -> None:
    """Raise `unauthorized` if the caller's application token was revoked."""
    if principal.app_id is None or principal.token is None:
        return
    token = principal.token
    subjects = [_ALL_TOKENS, f"token:{token.digest}"] + ([f"session:{token.session}"] if token.session else [])
    async with services.db.read() as read:
        if await stored.is_token_ended(
            read, principal.app_id, subjects, issued_at=token.issued_at, now=services.clock.now()
        ):
            raise unauthorized()


async def is_live(services: Services, principal: Principal) -> bool:
    """Return whether a token is neither expired nor revoked; True if the database cannot be read.

    An API key is checked by the keyring.
    """
    if services.clock.now() > principal.until:
        return False
    try:
        await require_live(services, principal)
    except AppError:
        return False
    except StorageError:  # streams check again soon
        return True
    return True


async def revoke(services: Services, principal: Principal) -> None:
    """Revoke the caller's token; raise `forbidden` for the token of an organization."""
    if principal.app_id is None or principal.token is None:
        raise forbidden()
    app_id, subjects = principal.app_id, f"token:{principal.token.digest}"

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.clock.now()
            await stored.end_tokens(tx, app_id, [subjects], issued_before=_ANY_TIME, ends_at=now)

    await retried(work)


async def revoke_all(services: Services, app: App, sessions: Sequence[str], after_ms: int) -> None:
    """Revoke the tokens issued so far to an application's users, or to some sessions, after `after_ms`."""
    subjects = [f"session:{session}" for session in dict.fromkeys(sessions)] or [_ALL_TOKENS]

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.clock.now()
            await stored.end_tokens(tx, app.id, subjects, issued_before=now + 1, ends_at=now + after_ms)

    await retried(work)


async def prune_revocations(db: Database, now: int) -> None:
    """Delete revocations that took effect more than 400 days ago."""
    async with db.write() as tx:
        await stored.prune_tokens(tx, before=now - _RETENTION_MS)
