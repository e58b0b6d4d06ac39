# SPDX-License-Identifier: MIT
"""What signs for an endpoint: shown, rotated, and encrypted under one main secret."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from tidings.core import operational
from tidings.core.endpoints import notify, refresh_after_commit
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import unavailable
from tidings.model.app import App
from tidings.model.rotation import rotated
from tidings.model.signature import AnyKey
from tidings.model.vault import SealedError, Vault
from tidings.storage import apps, endpoints, settings
from tidings.storage.database import Database, Write, retried
from tidings.storage.endpoints import StoredKeys

_PROOF: Final = "main_secret_proof"
_SEALED_AT_ONCE: Final = 100


async def require_main_secret(db: Database, vault: Vault) -> None:
    """Hold that the main secret is the one of this database; the first becomes that. Raises `SealedError`."""

    async def work() -> None:
        async with db.write() as tx:
            proof = vault.proof()
            vault.check(await settings.find(tx, _PROOF) if proof is None else await settings.settled(tx, _PROOF, proof))

    await retried(work)


async def encrypt_stored_secrets(db: Database, vault: Vault) -> int:
    """Encrypt what was stored in the clear before there was a main secret; return of how many endpoints.

    Many nodes may do this at once, and callers may change an endpoint meanwhile: only what was read is replaced. What
    is compiled from an endpoint stays as it is, so nobody needs to read it again.
    """
    sealed, after = 0, ""
    while vault.main_secret:
        async with db.read() as read:
            found = await endpoints.at_rest(read, after=after, limit=_SEALED_AT_ONCE)
        if not found:
            break
        sealed += await retried(partial(_seal, db, vault, [each for each in found if _is_clear(vault, each)]))
        after = found[-1].id
    return sealed


def _is_clear(vault: Vault, each: StoredKeys) -> bool:
    stored = (each.secret, *(old.stored for old in each.old_secrets))
    return each.headers is not None or any(map(vault.is_clear, stored))


async def _seal(db: Database, vault: Vault, found: Sequence[StoredKeys]) -> int:
    sealed = 0
    if not found:
        return sealed
    async with db.write(background=True) as tx:
        for each in found:
            secret = vault.sealed(each.secret)
            old = [replace(kept, stored=vault.sealed(kept.stored)) for kept in each.old_secrets]
            changed = await endpoints.seal_secrets(tx, each, secret, old)
            if each.headers is not None:
                packed = vault.packed_headers(vault.opened_headers(each.headers))
                changed += await endpoints.seal_headers(tx, each.id, clear=each.headers, sealed=packed)
            sealed += bool(changed)
    return sealed


@dataclass(frozen=True, slots=True)
class Rotation:
    """A request to rotate a secret."""

    key: AnyKey | None
    """What signs from now on; None has a key made."""
    grace_seconds: int
    """How long the one before signs beside it."""


async def secret_of(services: Services, app: App, ref: str) -> str:
    """Return what a receiver checks signatures with; of a pair of keys that is the public one."""
    async with services.db.read() as read:
        return _public_text(services, await endpoints.secret(read, app.id, ref))


async def rotate(
    services: Services,
    app: App,
    ref: str,
    rotation: Rotation,
    *,
    idempotency_key: str | None,
    render: Callable[[str], Response],
) -> Response:
    """Have another key sign from now on; `render` is given its public text.

    Under an idempotency key it is kept as it is with the endpoint: encrypted where secrets are.
    """

    async def work(tx: Write) -> AnyKey:
        now = services.now()
        await apps.touch(tx, app.id, now)
        endpoint = await endpoints.get(tx, app.id, ref)
        current = await endpoints.secret(tx, app.id, ref)
        kept = rotated(await endpoints.old(tx, endpoint.id), current, now, rotation.grace_seconds)
        fresh = rotation.key or services.vault.fresh()
        await endpoints.set_secrets(tx, endpoint.id, services.vault.packed(fresh), kept, now)
        await notify(tx, services, app, endpoint, operational.ENDPOINT_UPDATED)
        refresh_after_commit(tx, services, endpoint)
        return fresh

    kept = await services.idempotency.once(idempotency_key, work, lambda key: Response(200, services.vault.packed(key)))
    return render(_public_text(services, kept.body))


def _public_text(services: Services, stored: bytes) -> str:
    try:
        return services.vault.opened(stored).public_text
    except SealedError as error:
        raise unavailable(f"The secret cannot be read: {error}.") from error
