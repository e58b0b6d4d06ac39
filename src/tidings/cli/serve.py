# SPDX-License-Identifier: MIT
"""`tidings serve` runs the service; `tidings migrate` upgrades the database schema to this release."""

import asyncio
import dataclasses
import ipaddress
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from tidings import loop
from tidings.config import ConfigError, Settings, Subnet, load, without_effect
from tidings.stopping import leave_within

_LEAVE_SECONDS: Final = 0.5
_LOOPBACK: Final[tuple[Subnet, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="A TOML file with settings. Default: `tidings.toml`, if it exists."),
]
DatabaseUrl: TypeAlias = Annotated[
    str | None, typer.Option("--db", metavar="URL", help="The database: sqlite:///FILE or postgresql://…")
]
Listen: TypeAlias = Annotated[
    str | None, typer.Option("--listen", metavar="ADDRESS:PORT", help="Address and port of the API.")
]

SECRET: Final = "TIDINGS_JWT_SECRET"  # noqa: S105 - the name of a setting


def serve(  # noqa: PLR0913 - each is a flag
    *,
    api: Annotated[bool, typer.Option("--api/--no-api", help="Serve the API.")] = True,
    delivery: Annotated[bool, typer.Option("--delivery/--no-delivery", help="Send messages to receivers.")] = True,
    tasks: Annotated[bool, typer.Option("--tasks/--no-tasks", help="Run background tasks.")] = True,
    migrate: Annotated[
        bool, typer.Option("--migrate/--no-migrate", help="Upgrade the database schema to this release.")
    ] = True,
    allow_loopback: Annotated[
        bool, typer.Option("--allow-loopback", help="Let endpoints use loopback addresses, for development.")
    ] = False,
    listen: Listen = None,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    from tidings.server import Roles  # noqa: PLC0415 - slow to import, and unused by other commands
    from tidings.server import serve as run  # noqa: PLC0415

    settings = load(file=config, listen_address=listen, db_dsn=db)
    settings = _with_loopback(settings) if allow_loopback else settings
    works = settings.worker_enabled
    roles = Roles(api=api and settings.api_enabled, delivery=delivery and works, tasks=tasks and works)
    for variable, why in without_effect().items():
        typer.echo(f"tidings: {variable} has no effect: {why}", err=True)

    async def work() -> None:
        await run(settings, roles, migrate=migrate)
        leave_within(_LEAVE_SECONDS)

    loop.run(work())


def _with_loopback(settings: Settings) -> Settings:
    """Return settings that let endpoints use loopback addresses. Raises `ConfigError` in `prod`: it is unsafe there."""
    if settings.environment == "prod":
        raise ConfigError("--allow-loopback is not available in prod; set TIDINGS_WHITELIST_SUBNETS instead")
    return dataclasses.replace(settings, whitelist_subnets=(*settings.whitelist_subnets, *_LOOPBACK))


def migrate(*, db: DatabaseUrl = None, config: ConfigFile = None) -> None:
    """Upgrade the database schema to this release. Needed only if `serve` runs with --no-migrate."""
    from tidings.server import open_database  # noqa: PLC0415 - as above

    async def work() -> None:
        database = await open_database(load(file=config, db_dsn=db))
        await database.close()

    asyncio.run(work())
    typer.echo("Migrations: success")
