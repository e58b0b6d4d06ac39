# SPDX-License-Identifier: MIT
"""`tidings jwt generate`: create an API token, whether or not a server runs."""

import asyncio
from typing import Annotated

import typer

from tidings.cli.serve import SECRET, ConfigFile, DatabaseUrl
from tidings.clock import SystemClock
from tidings.config import ConfigError, Settings, load
from tidings.core.access import issue_org_token, jwt_secret, stored_secret
from tidings.core.signer import Signer, WrongKey
from tidings.errors import AppError
from tidings.ids import DEFAULT_ORG, ORG, OrgId
from tidings.storage.drivers.database import Unavailable

app = typer.Typer(help="API tokens.", no_args_is_help=True)


@app.callback()
def jwt() -> None:
    """Make `jwt` a command group although it has one command."""


@app.command()
def generate(
    org: Annotated[str, typer.Argument(metavar="[ORG]", help="The organization's id, `org_…`.")] = DEFAULT_ORG,
    *,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Print a token for an organization. It is valid for ten years."""
    if not org.startswith(ORG):
        raise ConfigError(f"{org!r} is not an organization id; it must start with {ORG}")
    settings = load(file=config, db_dsn=db)
    secret = asyncio.run(_secret(settings))
    try:
        token = issue_org_token(Signer(secret, settings.jwt_algorithm), OrgId(org), SystemClock().now())
    except (WrongKey, AppError) as error:
        raise ConfigError(str(error)) from error
    typer.echo(f"Token (Bearer): {token}")


async def _secret(settings: Settings) -> str:
    """Return the secret of the server: the setting, or else the stored secret, which is generated if none exists."""
    given = settings.jwt_secret
    path = settings.sqlite_path
    if not given and path is not None:
        given = stored_secret(path)
    return given or await _stored_secret(settings)


async def _stored_secret(settings: Settings) -> str:
    from tidings.server import open_database  # noqa: PLC0415 - slow to import, and rarely needed

    path = settings.sqlite_path
    try:
        database = await open_database(settings, migrate=path is not None)
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
