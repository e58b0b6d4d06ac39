# SPDX-License-Identifier: MIT
"""The work of `tidings jwt generate`: find the server's secret, and sign a token with it."""

import asyncio

from tidings.cli.serve import SECRET
from tidings.clock import SystemClock
from tidings.core.access import ORG_TOKEN_MS, issue_org_token, jwt_secret, stored_secret
from tidings.core.signer import Signer, WrongKey
from tidings.errors import AppError
from tidings.ids import OrgId
from tidings.settings import ConfigError, Settings
from tidings.storage.drivers.database import Unavailable


def issue(settings: Settings, org_id: OrgId, lifetime_ms: int | None = None) -> str:
    """Return a token of an organization; without a lifetime it is valid for ten years."""
    secret = asyncio.run(_secret(settings))
    try:
        return issue_org_token(
            Signer(secret, settings.jwt_algorithm), org_id, SystemClock().now(), lifetime_ms or ORG_TOKEN_MS
        )
    except (WrongKey, AppError) as error:
        raise ConfigError(str(error)) from error


async def _secret(settings: Settings) -> str:
    """Return the secret of the server: the setting, or else the stored secret, which is generated if none exists."""
    given = settings.jwt_secret
    path = settings.sqlite_path
    if not given and path is not None:
        given = stored_secret(path)
    return given or await _stored_secret(settings)


async def _stored_secret(settings: Settings) -> str:
    from tidings.server.database import open_database  # noqa: PLC0415 - slow to import, and rarely needed

    path = settings.sqlite_path
    try:
        database = await open_database(settings, migrate=None if path is not None else False)
    except Unavailable as error:
        found = None if path is None else stored_secret(path)  # a server may have started meanwhile
        if found is None and path is not None and path.is_file():
            raise ConfigError(
                f"{error}. The server uses a secret from its settings; set {SECRET} to the same value"
            ) from error
        if found is None:
            raise
        return found
    try:
        return await jwt_secret(database, None)
    finally:
        await database.close()
