# SPDX-License-Identifier: MIT
"""`tidings jwt generate`: create an API token, whether or not a server runs."""

from typing import Annotated

import typer

from tidings.cli.durations import parse_lifetime
from tidings.cli.serve import ConfigFile, DatabaseUrl
from tidings.config import load
from tidings.ids import DEFAULT_ORG, ORG, OrgId
from tidings.settings import ConfigError

app = typer.Typer(help="API tokens.", no_args_is_help=True)


@app.callback()
def jwt() -> None:
    """Make `jwt` a command group although it has one command."""


@app.command()
def generate(
    org: Annotated[str, typer.Argument(metavar="[ORG]", help="The organization's id, `org_…`.")] = DEFAULT_ORG,
    *,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="How long it is valid. Default: ten years.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the token only.")] = False,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Print a token for an organization. It is valid for ten years, unless --expires is given."""
    if not org.startswith(ORG):
        raise ConfigError(f"{org!r} is not an organization id; it must start with {ORG}")
    lifetime_ms = parse_lifetime(expires, "--expires")
    from tidings.cli import issuing  # noqa: PLC0415 - slow to import, and unused by other commands

    token = issuing.issue(load(file=config, db_dsn=db), OrgId(org), lifetime_ms)
    typer.echo(token if quiet else f"Token (Bearer): {token}")
