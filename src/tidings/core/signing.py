# SPDX-License-Identifier: MIT
"""Use cases of signing secrets: show and rotate an endpoint's secret, and encrypt the stored secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from tidings.core import operational
from tidings.core.endpoints import notify, refresh_after_commit
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.tuning import CoreTuning
from tidings.errors import unavailable
from tidings.ids import EndpointId
from tidings.model.app import App
from tidings.model.encryption import DecryptionError, Encryption
from tidings.model.rotation import rotated
from tidings.model.signature import AnyKey, Key
from tidings.storage.drivers.database import Database, Write, retried
from tidings.storage.tables import apps, endpoints, nodes, transformations
from tidings.storage.tables.endpoints import StoredKeys

_PROOF: Final = "main_secret_proof"


async def require_main_secret(db: Database, encryption: Encryption) -> None:
    """Raise `DecryptionError` unless the main secret is the one of this database; the first one used is recorded."""

    async def work() -> None:
        async with db.write() as tx:
            proof = encryption.create_proof()
            encryption.verify_proof(
                await nodes.setting(tx, _PROOF) if proof is None else await nodes.get_or_set_setting(tx, _PROOF, proof)
            )

    await retried(work)


async def encrypt_stored_secrets(db: Database, encryption: Encryption, tuning: CoreTuning = CoreTuning()) -> int:
    """Encrypt the secrets, headers and variables that are stored as plaintext; return the number of changed endpoints.

    An endpoint whose variables were in the clear as well counts twice.

    Plaintext remains from the time before a main secret was set. Several nodes may run this at the same time, and
    callers may change an endpoint meanwhile: a value is replaced only if it is still the one that was read. The
    decrypted values do not change, so cached routing stays valid.
    """
    count, after = 0, ""
    while encryption.main_secret:
        async with db.read() as read:
            found = await endpoints.stored_keys(read, after=after, limit=tuning.encrypted_at_once)
        if not found:
            break
        count += await retried(
            partial(_encrypt, db, encryption, [each for each in found if _has_plaintext(encryption, each)])
        )
        after = found[-1].id
    return count + await _encrypt_variables(db, encryption, tuning)


async def _encrypt_variables(db: Database, encryption: Encryption, tuning: CoreTuning) -> int:
    """Encrypt the variables of transformations that are stored as plaintext; return their number."""
    count, after = 0, ""
    while encryption.main_secret:
        async with db.read() as read:
            found = await transformations.plaintext_variables(read, after=after, limit=tuning.encrypted_at_once)
        if not found:
            break
        count += await retried(partial(_replace_variables, db, encryption, found))
        after = found[-1][0]
    return count


async def _replace_variables(db: Database, encryption: Encryption, found: Sequence[tuple[EndpointId, str]]) -> int:
    count = 0
    async with db.write(background=True) as tx:
        for endpoint_id, plaintext in found:
            encoded = encryption.encode_headers(encryption.decode_headers(plaintext))
            count += await transformations.replace_variables(tx, endpoint_id, plaintext=plaintext, encrypted=encoded)
    return count


def _has_plaintext(encryption: Encryption, each: StoredKeys) -> bool:
    stored = (each.secret, *(old.stored for old in each.old_secrets))
    return each.headers is not None or any(map(encryption.is_plaintext, stored))


async def _encrypt(db: Database, encryption: Encryption, found: Sequence[StoredKeys]) -> int:
    count = 0
    if not found:
        return count
    async with db.write(background=True) as tx:
        for each in found:
            secret = encryption.encrypt_stored(each.secret)
            old = [replace(kept, stored=encryption.encrypt_stored(kept.stored)) for kept in each.old_secrets]
            changed = await endpoints.replace_secrets(tx, each, secret, old)
            if each.headers is not None:
                encoded = encryption.encode_headers(encryption.decode_headers(each.headers))
                changed += await endpoints.replace_headers(tx, each.id, plaintext=each.headers, encrypted=encoded)
            count += bool(changed)
    return count


@dataclass(frozen=True, slots=True)
class Rotation:
    """A request to rotate an endpoint's secret."""

    key: AnyKey | None
    """The new key; None generates one."""
    grace_seconds: int
    """How long the previous key also signs, in seconds."""


async def secret_of(services: Services, app: App, ref: str) -> str:
    """Return the text with which a receiver verifies signatures; for an asymmetric key, the public key."""
    async with services.db.read() as read:
        return _public_text(services, await endpoints.secret(read, app.id, ref))


async def key_of(services: Services, app: App, ref: str) -> Key:
    """Return the key that signs the messages to an endpoint."""
    async with services.db.read() as read:
        return services.encryption.decode_key(await endpoints.secret(read, app.id, ref))


async def rotate(
    services: Services,
    app: App,
    ref: str,
    rotation: Rotation,
    *,
    idempotency_key: str | None,
) -> str:
    """Replace the signing key of an endpoint; return the public text of the new key.

    The idempotency record stores the key in the same form as the endpoint does: encrypted if a main secret is set.
    """

    async def work(tx: Write) -> AnyKey:
        now = services.now()
        await apps.advance_routing_version(tx, app.id, now)
        endpoint = await endpoints.get(tx, app.id, ref)
        current = await endpoints.secret(tx, app.id, ref)
        old = rotated(await endpoints.previous_secrets(tx, endpoint.id), current, now, rotation.grace_seconds)
        fresh = rotation.key or services.encryption.generate_key()
        await endpoints.set_secrets(tx, endpoint.id, services.encryption.encode_key(fresh), old, now)
        await notify(tx, services, app, endpoint, operational.ENDPOINT_UPDATED)
        refresh_after_commit(tx, services, endpoint)
        return fresh

    response = await services.idempotency.once(
        idempotency_key, work, lambda key: Response(200, services.encryption.encode_key(key))
    )
    return key_in(services, response)


def key_in(services: Services, stored: Response) -> str:
    """Return the public text of the key in the idempotency record of a rotation."""
    return _public_text(services, stored.body)


def _public_text(services: Services, stored: bytes) -> str:
    try:
        return services.encryption.decode_key(stored).public_text
    except DecryptionError as error:
        raise unavailable(f"The secret cannot be read: {error}.") from error
