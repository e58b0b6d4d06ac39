# SPDX-License-Identifier: MIT
"""Use cases of API keys: create, list, change and revoke them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.tuning import CoreTuning
from tidings.errors import bad_request, conflict, not_found
from tidings.ids import API_KEY, MANAGEMENT_ORG, STEP_MS, AppId, OrgId, new
from tidings.model import api_key
from tidings.model.api_key import ApiKey, KeyScope
from tidings.model.page import Cursor, Page
from tidings.storage.drivers.database import Database, Write, retried
from tidings.storage.tables import api_keys, apps


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What a key permits: its scope, the id or uid of its application, and whether it only reads."""

    scope: KeyScope
    app_ref: str | None = None
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """A key to be created."""

    org_id: OrgId
    """The organization; the management organization for an operator's key."""
    name: str
    rights: KeyRights
    created_by: str
    lifetime_ms: int | None = None
    """How long the key is valid; None for no limit."""


@dataclass(frozen=True, slots=True)
class KeyEdit:
    """A change of a key; None keeps what it has."""

    name: str | None = None
    rights: KeyRights | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key with its text, which is stored nowhere."""

    key: ApiKey
    text: str


async def create(db: Database, draft: KeyDraft, now: int, tuning: CoreTuning = CoreTuning()) -> NewKey:
    """Create a key."""

    async def work() -> NewKey:
        async with db.write() as tx:
            return await add(tx, draft, now, tuning)

    return await retried(work)


async def create_once(services: Services, draft: KeyDraft, idempotency_key: str | None) -> NewKey:
    """Create a key; raise `conflict` for a repeated request, because nothing stores the text of the first key."""
    made: list[NewKey] = []

    async def work(tx: Write) -> None:
        made[:] = [await add(tx, draft, services.clock.now(), services.tuning)]

    await services.idempotency.once(idempotency_key, work, lambda _: Response(200, b"{}"))
    if not made:
        raise conflict("An earlier request created this key, which cannot be shown again; create another one.")
    return made[0]


async def add(tx: Write, draft: KeyDraft, now: int, tuning: CoreTuning = CoreTuning()) -> NewKey:
    """Create a key in an open transaction; raise `not_found` without the application, and an error at the limit.

    At the limit, the key that ended first makes room, a minute after its end. Requests at the same time may exceed the
    limit by their number.
    """
    most, before = tuning.keys_per_organization, now - tuning.ended_key_ms
    if await api_keys.count(tx, draft.org_id) >= most and not await api_keys.delete_ended(tx, draft.org_id, before):
        detail = f"This organization has {most:,} API keys, the most; revoke one, and wait a minute."
        raise bad_request("too_many_keys", detail)
    text = api_key.new_text()
    created_at = now // STEP_MS * STEP_MS
    key = ApiKey(
        id=new(API_KEY, created_at),
        org_id=draft.org_id,
        app_id=await _application(tx, draft.org_id, draft.rights),
        scope=draft.rights.scope,
        is_read_only=draft.rights.is_read_only,
        name=draft.name,
        hint=api_key.hint_of(text),
        created_by=draft.created_by,
        created_at=created_at,
        expires_at=None if draft.lifetime_ms is None else now + draft.lifetime_ms,
        revoked_at=None,
        last_used_at=None,
        version=1,
    )
    await api_keys.add(tx, key, api_key.hash_of(text))
    return NewKey(key, text)


async def page(db: Database, org_id: OrgId | None, cursor: Cursor) -> Page[ApiKey]:
    """Return a page of the keys of an organization, or of the whole installation, with those that ended lately."""
    async with db.read() as read:
        rows = await api_keys.page(read, org_id, cursor.window())
    return cursor.page(rows, lambda key: key.id)


async def get(db: Database, org_id: OrgId | None, key_id: str) -> ApiKey:
    """Return a key of an organization, or of any; raise `not_found` if there is none."""
    async with db.read() as read:
        return _own(await api_keys.get(read, key_id), org_id)


async def change(
    db: Database,
    org_id: OrgId | None,
    key_id: str,
    edit: KeyEdit,
    now: int,
    *,
    changed: Callable[[str], None],
) -> ApiKey:
    """Change the name or the rights of a key; `changed` is called with its id after the commit."""
    name, rights = edit.name, edit.rights

    async def work() -> ApiKey:
        async with db.write() as tx:
            key = _own(await api_keys.get(tx, key_id), org_id)
            if name is not None:
                await api_keys.rename(tx, key.id, name)
                key = replace(key, name=name)
            if rights is not None:
                app_id = await _application(tx, key.org_id, rights)
                key = replace(key, scope=rights.scope, app_id=app_id, is_read_only=rights.is_read_only)
                await api_keys.rescope(tx, key, now)
                tx.after_commit(lambda: changed(key_id))
            return key

    return await retried(work)


async def revoke(
    db: Database, org_id: OrgId | None, key_id: str, now: int, *, after_ms: int = 0, changed: Callable[[str], None]
) -> ApiKey:
    """Revoke a key of an organization, or of any, after a delay; return the key as it was.

    A revoked key stays revoked. `changed` is called with the id after the commit.
    """

    async def work() -> ApiKey:
        async with db.write() as tx:
            key = _own(await api_keys.get(tx, key_id), org_id)
            await api_keys.revoke(tx, key.id, now=now, ends_at=now + after_ms)
            tx.after_commit(lambda: changed(key_id))
            return key

    return await retried(work)


async def prune(db: Database, now: int, *, chunk: int = 1_000) -> None:
    """Delete the keys that ended more than 90 days ago."""
    deleted = chunk
    while deleted == chunk:
        async with db.write(background=True) as tx:
            deleted = await api_keys.prune(tx, before=now - api_key.ENDED_KEPT_MS, limit=chunk)


async def _application(tx: Write, org_id: OrgId, rights: KeyRights) -> AppId | None:
    if rights.scope is not KeyScope.APPLICATION or rights.app_ref is None:
        return None
    return (await apps.get(tx, org_id, rights.app_ref)).id


def _own(key: ApiKey | None, org_id: OrgId | None) -> ApiKey:
    """Return a key if it belongs to the organization, or if that is None; raise `not_found` otherwise.

    The key of an integration is changed by the use cases of integrations only.
    """
    if key is None or key.integration_id is not None or org_id not in (None, key.org_id):
        raise not_found("API key not found")
    return key


def organization_of(org_id: OrgId) -> OrgId | None:
    """Return the organization whose keys an operator asks for; the management organization means all."""
    return None if org_id == MANAGEMENT_ORG else org_id
