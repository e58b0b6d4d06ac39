# SPDX-License-Identifier: MIT
"""`tidings jwt generate`: create an API token, whether or not a server runs."""

from typing import Annotated

import typer

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
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Print a token for an organization. It is valid for ten years."""
    if not org.startswith(ORG):
        raise ConfigError(f"{org!r} is not an organization id; it must start with {ORG}")
    from tidings.cli import issuing  # noqa: PLC0415 - slow to import, and unused by other commands

    typer.echo(f"Token (Bearer): {issuing.issue(load(file=config, db_dsn=db), OrgId(org))}")
