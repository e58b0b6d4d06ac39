# SPDX-License-Identifier: MIT
"""Commands for operators: generate keys, show the settings, and delete data permanently.

`wipe` and `prune` access the database directly. On PostgreSQL they may run beside the service. A SQLite file has one
owner, so the service must be stopped.
"""

from typing import Annotated, Final, TypeAlias

import typer

from tidings.cli.config_text import toml_lines
from tidings.cli.serve import ConfigFile, DatabaseUrl
from tidings.cli.timestamps import parse_timestamp
from tidings.clock import DAY, SystemClock, parse_rfc3339
from tidings.config import load, origins, without_effect
from tidings.ids import ORG, OrgId
from tidings.settings import ConfigError

_LATELY_MS: Final = 90 * DAY

keys: Final = typer.Typer(help="Signing keys for endpoints.", no_args_is_help=True)

Sure: TypeAlias = Annotated[bool, typer.Option("--yes-i-know-what-im-doing", help="Confirm the deletion.")]


@keys.callback()
def asymmetric_key() -> None:
    """Make `asymmetric-key` a command group although it has one command."""


@keys.command("generate")
def generate_key() -> None:
    """Print a new key pair: the secret key for an endpoint, the public key for its receiver."""
    from tidings.model.signature import generate_pair  # noqa: PLC0415 - slow to import, and unused by other commands

    pair = generate_pair()
    typer.echo(f"Secret key: {pair.text}")
    typer.echo(f"Public key: {pair.public_text}")


def show_config(
    *,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print a `tidings.toml` that gives the same settings; secrets are left out.")
    ] = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Do not mask secrets and passwords; only with --toml.")
    ] = False,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Print each setting, its value (secrets masked) and its source, and the variables that have no effect."""
    if show_secrets and not toml:
        raise ConfigError("--show-secrets needs --toml")
    settings = load(file=config, db_dsn=db)
    where = origins(file=config, db_dsn=db)
    if toml:
        for line in toml_lines(settings, where, show_secrets=show_secrets):
            typer.echo(line)
    else:
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
    from tidings.cli import deletion  # noqa: PLC0415 - as above

    typer.echo(deletion.wipe(load(file=config, db_dsn=db), OrgId(org)))


def prune(  # noqa: PLR0913 - each is a flag
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="An age (30d, 12w) or an RFC 3339 timestamp.")
    ],
    *,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, max=100_000, help="Messages per transaction.")
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
    from tidings.cli import deletion  # noqa: PLC0415 - as above

    settings = load(file=config, db_dsn=db)
    if dry_run or not sure:
        for line in deletion.count_prunable(settings, before, chunk=batch_size):
            typer.echo(line)
        if dry_run:
            return
        typer.echo("Nothing has been deleted. To confirm, add --yes-i-know-what-im-doing.", err=True)
        raise typer.Exit(1)
    for line in deletion.prune(settings, before, chunk=batch_size, deliveries=deliveries):
        typer.echo(line, err=True)
