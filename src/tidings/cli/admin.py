# SPDX-License-Identifier: MIT
"""Commands for operators: generate keys, show the settings, and delete data permanently.

`wipe` and `prune` access the database directly. On PostgreSQL they may run beside the service. A SQLite file has one
owner, so the service must be stopped.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeAlias, TypeVar

import typer

from tidings.cli.serve import ConfigFile, DatabaseUrl
from tidings.cli.timestamps import parse_timestamp
from tidings.clock import DAY, SystemClock, parse_rfc3339
from tidings.config import ConfigError, load, origins, without_effect
from tidings.core import wiping
from tidings.core.wiping import PruneCount
from tidings.ids import ORG, OrgId
from tidings.model.signature import generate_pair
from tidings.storage.drivers.database import Database

_LATELY_MS: Final = 90 * DAY
_NAMED_AT_MOST: Final = 20
Result = TypeVar("Result")

keys: Final = typer.Typer(help="Signing keys for endpoints.", no_args_is_help=True)

Sure: TypeAlias = Annotated[bool, typer.Option("--yes-i-know-what-im-doing", help="Confirm the deletion.")]


@keys.callback()
def asymmetric_key() -> None:
    """Make `asymmetric-key` a command group although it has one command."""


@keys.command("generate")
def generate_key() -> None:
    """Print a new key pair: the secret key for an endpoint, the public key for its receiver."""
    pair = generate_pair()
    typer.echo(f"Secret key: {pair.text}")
    typer.echo(f"Public key: {pair.public_text}")


def show_config(*, db: DatabaseUrl = None, config: ConfigFile = None) -> None:
    """Print each setting, its value (secrets masked) and its source, and the variables that have no effect."""
    settings = load(file=config, db_dsn=db)
    where = origins(file=config, db_dsn=db)
    for name, value in settings.masked().items():
        typer.echo(f"{name} = {value}  ({where[name]})")
    for variable, why in without_effect().items():
        typer.echo(f"{variable} has no effect: {why}", err=True)


def wipe(
    org: Annotated[str, typer.Argument(metavar="ORG", help="The organization's id, `org_…`.")],
    *,
    sure: Sure = False,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Delete an organization: applications, endpoints, messages, event types, tasks.

    Nothing is deleted without --yes-i-know-what-im-doing.
    """
    if not org.startswith(ORG):
        raise ConfigError(f"{org!r} is not an organization id; it must start with {ORG}")
    if not sure:
        typer.echo(f"This deletes {org} and everything in it. To confirm, add --yes-i-know-what-im-doing.", err=True)
        raise typer.Exit(1)
    deleted = _with_database(db, config, lambda database: wiping.wipe(database, OrgId(org), chunk=1_000))
    typer.echo(f"Deleted from {org}: {_wiped_text(deleted)}.")


def prune(  # noqa: PLR0913 - each is a flag
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="An age (30d, 12w) or an RFC 3339 timestamp.")
    ],
    *,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=100_000, help="Messages per transaction.")
    ] = 10_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be deleted.")] = False,
    deliveries: Annotated[
        bool, typer.Option("--discard-deliveries", help="Also delete messages with outstanding deliveries.")
    ] = False,
    sure: Sure = False,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Delete messages older than an age, and their attempts.

    Messages with outstanding deliveries are kept, unless --discard-deliveries is given. Nothing is deleted without
    --yes-i-know-what-im-doing.
    """
    before = parse_rfc3339(parse_timestamp(older_than, "--older-than", SystemClock()))
    if before > SystemClock().now() - _LATELY_MS:
        typer.echo("Warning: --older-than includes messages that are less than 90 days old.", err=True)
    if dry_run or not sure:
        for line in _count_lines(
            _with_database(db, config, lambda opened: wiping.count_prunable(opened, before, chunk=batch_size))
        ):
            typer.echo(line)
        if dry_run:
            return
        typer.echo("Nothing has been deleted. To confirm, add --yes-i-know-what-im-doing.", err=True)
        raise typer.Exit(1)
    now = SystemClock().now()
    deleted = _with_database(
        db, config, lambda opened: wiping.prune(opened, before, now, chunk=batch_size, deliveries=deliveries)
    )
    typer.echo(_pruned_text(deleted), err=True)
    if deleted["kept"]:
        typer.echo(
            f"Kept: {deleted['kept']} messages with outstanding deliveries; --discard-deliveries deletes them.",
            err=True,
        )


def _count_lines(old: PruneCount) -> list[str]:
    """Return lines that describe the messages that a run would delete and keep."""
    lines = [f"Messages: {old.messages}, with {old.attempts} attempts."]
    if not old.deliveries:
        return lines
    total, endpoints = old.deliveries.total(), len(old.deliveries)
    lines.append(
        f"Of these, {old.with_deliveries} messages have {total} deliveries (scheduled or in flight) to {endpoints}"
        f" endpoint{'' if endpoints == 1 else 's'}. They are kept, unless --discard-deliveries is given:"
    )
    lines += [f"  {endpoint}: {count}" for endpoint, count in old.deliveries.most_common(_NAMED_AT_MOST)]
    return lines if endpoints <= _NAMED_AT_MOST else [*lines, f"  and {endpoints - _NAMED_AT_MOST} more endpoints"]


def _pruned_text(deleted: Counter[str]) -> str:
    parts = [f"{deleted['messages']} messages", f"{deleted['attempts']} attempts"]
    if deleted["deliveries"]:
        parts.append(f"{deleted['deliveries']} deliveries that were scheduled or in flight")
    ended = f"; {deleted['payloads']} expired payloads" if deleted["payloads"] else ""
    return f"Deleted: {', '.join(parts)}{ended}."


def _wiped_text(deleted: Counter[str]) -> str:
    kinds = ("applications", "endpoints", "messages", "attempts", "deliveries", "tasks")
    return ", ".join(f"{deleted[kind]} {kind}" for kind in kinds)


def _with_database(db: str | None, config: Path | None, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Open the database of this configuration, and return the result of some work on it."""
    from tidings.server import open_database  # noqa: PLC0415 - slow to import, and rarely needed

    async def run() -> Result:
        database = await open_database(load(file=config, db_dsn=db))
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
