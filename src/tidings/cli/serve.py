# SPDX-License-Identifier: MIT
"""`tidings serve` runs the service; `tidings migrate` upgrades the database schema to this release."""

import asyncio
import dataclasses
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NoReturn, TypeAlias

import typer

from tidings.cli.interrupt import ending_at_once
from tidings.clock import SystemClock
from tidings.config import has_colors, load, origins, wants_json, without_effect
from tidings.logs import JSON, log, start_logging
from tidings.process import loop
from tidings.process.lines import LineTaker
from tidings.process.listening import bind_metrics, bind_shared
from tidings.process.reports import SUPERVISOR, start_log
from tidings.process.stopping import leave_within
from tidings.process.worker import Worker
from tidings.settings import LOOPBACK, ConfigError, Settings

_LEAVE_SECONDS: Final = 0.5

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
        bool | None,
        typer.Option("--migrate/--no-migrate", help="Upgrade the database schema first. Default: setting db_migrate."),
    ] = None,
    allow_loopback: Annotated[
        bool, typer.Option("--allow-loopback", help="Let endpoints use loopback addresses, for development.")
    ] = False,
    workers: Annotated[
        str | None,
        typer.Option("--workers", metavar="N", help="Processes to run, on PostgreSQL; `auto` is one per core."),
    ] = None,
    listen: Listen = None,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
    worker: Annotated[str | None, typer.Option("--worker", hidden=True)] = None,
) -> None:
    """Run the service until SIGTERM or Ctrl-C."""

    def configured() -> Settings:
        settings = load(file=config, listen_address=listen, db_dsn=db, workers=workers)
        return _with_loopback(settings) if allow_loopback else settings

    if wants_json(file=config):
        start_logging("error", JSON)  # for errors in the settings; the settings start it again
    settings = configured()
    if worker is None and settings.worker_count > 1:
        _supervise(settings, configured, api=api and settings.api_enabled)
    with ending_at_once():
        from tidings import terms  # noqa: PLC0415 - slow to import, and unused by other commands
        from tidings.server.node import Roles  # noqa: PLC0415
        from tidings.server.portal import setting_origins  # noqa: PLC0415
        from tidings.server.serving import serve as run  # noqa: PLC0415

    setting_origins.update(origins(file=config, listen_address=listen, db_dsn=db, workers=workers))
    place = None if worker is None else Worker.of(worker)
    settings = settings if place is None else terms.of_worker(settings, place.count)
    works = settings.worker_enabled
    roles = Roles(api=api and settings.api_enabled, delivery=delivery and works, tasks=tasks and works)
    _start_log(settings, None if place is None else place.index + 1)

    async def work() -> None:
        await run(settings, roles, migrate=migrate, worker=place)
        leave_within(_LEAVE_SECONDS)

    loop.run(work())


def _supervise(settings: Settings, reload: Callable[[], Settings], *, api: bool) -> NoReturn:
    """Run the workers, each with the arguments of this command, and exit with their code."""
    from tidings.process.supervisor import Supervisor  # noqa: PLC0415 - only for several workers

    _start_log(settings, SUPERVISOR)
    listeners = bind_shared(settings, settings.worker_count) if api else ()
    metrics = bind_metrics(settings)

    async def work() -> int:
        taker = None if metrics is None else _worker_metrics(metrics)
        return await Supervisor(settings, sys.argv[1:], listeners, reload, taker).run()

    sys.exit(asyncio.run(work()))


def _start_log(settings: Settings, worker: int | None) -> None:
    """Start the log, and warn once of variables that have no effect."""
    start_log(settings, worker, colored=has_colors())
    if not worker:
        for variable, why in without_effect().items():
            log.warning("setting.ignored", "a variable has no effect", variable=variable, reason=why)


def _worker_metrics(listener: socket.socket) -> LineTaker:
    from tidings.metrics.workers import WorkerMetrics  # noqa: PLC0415 - only if metrics are on

    return WorkerMetrics(listener, SystemClock())


def _with_loopback(settings: Settings) -> Settings:
    """Return settings that let endpoints use loopback addresses. Raises `ConfigError` in `prod`: it is unsafe there."""
    if settings.environment == "prod":
        raise ConfigError("--allow-loopback is not available in prod; set TIDINGS_WHITELIST_SUBNETS instead")
    return dataclasses.replace(settings, whitelist_subnets=(*settings.whitelist_subnets, *LOOPBACK))


def migrate(*, db: DatabaseUrl = None, config: ConfigFile = None) -> None:
    """Upgrade the database schema to this release, before the nodes of the release start."""
    from tidings.server.database import open_database  # noqa: PLC0415 - as above

    async def work() -> None:
        database = await open_database(load(file=config, db_dsn=db), migrate=True)
        await database.close()

    asyncio.run(work())
    typer.echo("Migrations: success")
