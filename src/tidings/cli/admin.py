# SPDX-License-Identifier: MIT
"""What whoever runs the service needs now and then: keys, settings as they are, and deleting for good.

`wipe` and `prune` work on the database itself. On PostgreSQL they may run beside the service; a SQLite file has one
owner, so there the service must not run.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from tidings.cli.serve import ConfigFile, DatabaseUrl
from tidings.clock import DAY, SystemClock, parse_rfc3339
from tidings.config import ConfigError, load, origins, without_effect
from tidings.core import wiping
from tidings.ids import ORG, OrgId
from tidings.model.signature import generate_pair
from tidings.storage.database import Database

_LATELY_MS: Final = 90 * DAY

keys: Final = typer.Typer(help="Keys that sign for endpoints.", no_args_is_help=True)

Sure: TypeAlias = Annotated[
    bool, typer.Option("--yes-i-know-what-im-doing", help="Do it; without this nothing is deleted.")
]


@keys.callback()
def asymmetric_key() -> None:
    """Group the commands."""


@keys.command("generate")
def generate_key() -> None:
    """Print a fresh pair of keys: the secret one for an endpoint, the public one for its receiver."""
    pair = generate_pair()
    typer.echo(f"Secret key: {pair.text}")
    typer.echo(f"Public key: {pair.public_text}")


def show_config(*, db: DatabaseUrl = None, config: ConfigFile = None) -> None:
    """Print each setting, its value (secrets masked) and where it came from; and variables that have no effect."""
    settings = load(file=config, db_dsn=db)
    where = origins(file=config, db_dsn=db)
    for name, value in settings.shown().items():
        typer.echo(f"{name} = {value}  ({where[name]})")
    for variable, why in without_effect().items():
        typer.echo(f"{variable} has no effect: {why}", err=True)


def wipe(
    org: Annotated[str, typer.Argument(metavar="ORG", help="The organisation, `org_…`.")],
    *,
    sure: Sure = False,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Delete all that an organisation has: applications, endpoints, messages, event types, tasks."""
    if not org.startswith(ORG):
        raise ConfigError(f"{org!r} is not an organisation: it must start with {ORG}")
    if not sure:
        typer.echo(f"This deletes all that {org} has. Say --yes-i-know-what-im-doing to have it done.", err=True)
        raise typer.Exit(1)
    gone = _on(db, config, lambda database: wiping.wipe(database, OrgId(org), chunk=1_000))
    typer.echo(f"Deleted of {org}: {_told(gone)}.")


def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="MOMENT", help="In RFC 3339, with its offset.")],
    *,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=100_000, help="Messages at a time.")] = 10_000,
    sure: Sure = False,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Delete the messages made before a moment, and the attempts at them."""
    try:
        before = parse_rfc3339(older_than)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--older-than: {older_than!r} is not a moment in RFC 3339 ({error})") from error
    if before > SystemClock().now() - _LATELY_MS:
        typer.echo("Some of what goes is less than 90 days old.", err=True)
    if not sure:
        typer.echo(f"Messages from before {older_than} go. Say --yes-i-know-what-im-doing to have it done.", err=True)
        raise typer.Exit(1)
    gone = _on(db, config, lambda database: wiping.prune(database, before, SystemClock().now(), chunk=batch_size))
    ended = f"; {gone['payloads']} payloads whose time was over" if gone["payloads"] else ""
    typer.echo(f"Deleted: {gone['messages']} messages, {gone['attempts']} attempts{ended}.", err=True)


def _told(gone: Counter[str]) -> str:
    kinds = ("applications", "endpoints", "messages", "attempts", "tasks")
    return ", ".join(f"{gone[kind]} {kind}" for kind in kinds)


def _on(db: str | None, config: Path | None, work: Callable[[Database], Awaitable[Counter[str]]]) -> Counter[str]:
    """Do something on the database of this configuration."""
    from tidings.server import open_database  # noqa: PLC0415 - the whole service, and seldom needed here

    async def done() -> Counter[str]:
        database = await open_database(load(file=config, db_dsn=db))
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(done())
