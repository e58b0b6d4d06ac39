# SPDX-License-Identifier: MIT
"""Use cases of integrations: create, list, change and delete them, and rotate their keys.

The key of an integration is an API key of its application with the integration's feature flags. It is stored as a hash,
so only the response to a rotation contains it; the first rotation creates it. It is derived from a random seed and the
secret that signs tokens. The record of an idempotent rotation has the seed, so that a repeated request gets the same
key; without the secret the seed yields no key.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.signer import Signer
from tidings.errors import bad_request, conflict, not_found
from tidings.ids import API_KEY, INTEGRATION, STEP_MS, AppId, new
from tidings.model import api_key
from tidings.model.api_key import ApiKey, KeyScope
from tidings.model.app import App
from tidings.model.integration import Integration
from tidings.model.page import Cursor, Page
from tidings.storage.drivers.database import Write, retried
from tidings.storage.tables import api_keys, integrations


@dataclass(frozen=True, slots=True)
class IntegrationDraft:
    """The name and the feature flags of an integration."""

    name: str
    feature_flags: tuple[str, ...] | None


async def create(
    services: Services,
    app: App,
    draft: IntegrationDraft,
    *,
    idempotency_key: str | None,
    render: Callable[[Integration], Response],
) -> Response:
    """Create an integration, which has no key yet; raise an error if the application has too many.

    Requests at the same time may exceed the limit by their number.
    """
    most = services.tuning.integrations_per_application

    async def work(tx: Write) -> Integration:
        if await integrations.count(tx, app.id) >= most:
            detail = f"This application has {most:,} integrations, the most; delete one first."
            raise bad_request("too_many_integrations", detail)
        now = services.now()
        made = Integration(
            id=new(INTEGRATION, now),
            org_id=app.org_id,
            app_id=app.id,
            name=draft.name,
            feature_flags=draft.feature_flags,
            created_at=now,
            updated_at=now,
        )
        await integrations.add(tx, made)
        return made

    return await services.idempotency.once(idempotency_key, work, render)


async def page(services: Services, app: App, cursor: Cursor) -> Page[Integration]:
    """Return a page of the integrations of an application."""
    async with services.db.read() as read:
        rows = await integrations.page(read, app.id, cursor.window())
    return cursor.page(rows, lambda integration: integration.id)


async def get(services: Services, app: App, integration_id: str) -> Integration:
    """Return an integration of an application; raise `not_found` if there is none."""
    async with services.db.read() as read:
        return _found(await integrations.get(read, app.id, integration_id))


async def keys(services: Services, app: App, found: Iterable[Integration]) -> dict[str, ApiKey]:
    """Return the keys of integrations of an application, by the id of the integration."""
    async with services.db.read() as read:
        rows = await api_keys.of_integrations(read, app.id, [each.id for each in found])
    return {key.integration_id: key for key in rows if key.integration_id is not None}


async def change(
    services: Services,
    app: App,
    integration_id: str,
    draft: IntegrationDraft,
    *,
    require: Callable[[Integration], None] | None = None,
) -> Integration:
    """Replace the name and the feature flags of an integration; its key has the new flags within two seconds.

    `require` raises an error if the integration is not in the state that the caller expects.
    """

    async def work() -> Integration:
        async with services.db.write() as tx:
            before, now = _found(await integrations.lock(tx, app.id, integration_id)), services.now()
            if require is not None:
                require(before)
            after = replace(before, name=draft.name, feature_flags=draft.feature_flags, updated_at=now)
            await integrations.change(tx, after)
            if after.feature_flags != before.feature_flags:
                _notify(tx, services, await api_keys.touch_of_integration(tx, app.id, integration_id, now))
            return after

    return await retried(work)


async def delete(services: Services, app: App, integration_id: str) -> None:
    """Delete an integration and end its key, on every node within two seconds."""

    async def work() -> None:
        async with services.db.write() as tx:
            # First, so that a rotation at the same time has ended before the keys are read.
            if not await integrations.delete(tx, app.id, integration_id):
                raise not_found()
            _notify(tx, services, await api_keys.end_of_application(tx, app.id, integration_id, services.now()))

    await retried(work)


async def end_all(tx: Write, services: Services, app_id: AppId, now: int) -> None:
    """Delete the integrations of an application in an open transaction, and end all keys that reach it."""
    await integrations.delete_all(tx, app_id)
    _notify(tx, services, await api_keys.end_of_application(tx, app_id, None, now))


async def rotate_key(
    services: Services, app: App, integration_id: str, *, signer: Signer, created_by: str, idempotency_key: str | None
) -> str:
    """Return a new key of an integration; the previous one ends, on every node within two seconds.

    A repeated request returns the key of the first one. Raises `conflict` for it if the signer has another key by now,
    or a public key alone.
    """
    seed = secrets.token_hex(api_key.SECRET_BYTES)
    text = _derived(signer, seed)

    async def work(tx: Write) -> None:
        await _replace_key(tx, services, app.id, integration_id, created_by, text)

    record = f"{seed} {api_key.hash_of(text)}".encode()
    stored = await services.idempotency.once(idempotency_key, work, lambda _: Response(200, record))
    return text if stored.body == record else key_in(signer, stored)


def key_in(signer: Signer, stored: Response) -> str:
    """Return the key of an earlier rotation from its idempotency record; raise `conflict` if that is impossible."""
    seed, _, digest = stored.body.decode().partition(" ")
    text = _derived(signer, seed)
    if api_key.hash_of(text) != digest:
        raise conflict("An earlier request rotated this key, which cannot be shown again; rotate it once more.")
    return text


def _derived(signer: Signer, seed: str) -> str:
    """Return the text of the key with this seed. Without a private key it is random, and cannot be returned again."""
    secret = signer.derived(f"integration key {seed}")
    return api_key.new_text() if secret is None else api_key.text_of(secret)


async def _replace_key(
    tx: Write, services: Services, app_id: AppId, integration_id: str, created_by: str, text: str
) -> None:
    integration = _found(await integrations.lock(tx, app_id, integration_id))
    key = _new_key(integration, api_key.hint_of(text), created_by, services.now())
    replaced = await api_keys.replace_of_integration(tx, key, api_key.hash_of(text))
    _notify(tx, services, replaced)
    if not replaced:
        await api_keys.delete_ended_of_integrations(tx, app_id, before=key.created_at - services.tuning.ended_key_ms)
        await api_keys.add(tx, key, api_key.hash_of(text))


def _new_key(integration: Integration, hint: str, created_by: str, now: int) -> ApiKey:
    created_at = now // STEP_MS * STEP_MS
    return ApiKey(
        id=new(API_KEY, created_at),
        org_id=integration.org_id,
        app_id=integration.app_id,
        scope=KeyScope.APPLICATION,
        is_read_only=False,
        name=integration.name,
        hint=hint,
        created_by=created_by,
        created_at=created_at,
        expires_at=None,
        revoked_at=None,
        last_used_at=None,
        version=1,
        integration_id=integration.id,
    )


def _notify(tx: Write, services: Services, key_ids: Iterable[str]) -> None:
    """Drop changed keys from the keyring of this process after the commit; the others hear by their heartbeats."""
    for key_id in key_ids:
        tx.after_commit(partial(services.notifier.keys, key_id))


def _found(integration: Integration | None) -> Integration:
    if integration is None:
        raise not_found()
    return integration
