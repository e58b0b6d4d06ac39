# SPDX-License-Identifier: MIT
"""`tidings healthcheck URL`: a health check for containers and scripts, without settings or a token."""

from typing import Annotated

import typer

from tidings.cli.remote import Remote, Unreachable


def healthcheck(url: Annotated[str, typer.Argument(metavar="URL", help="The server's URL.")]) -> None:
    """Exit with 0 if the server is healthy, with 1 otherwise."""
    try:
        status = Remote(url).head("/api/v1/health")
    except Unreachable as error:
        typer.echo(f"tidings: {error}", err=True)
        raise typer.Exit(1) from error
    if not 200 <= status < 300:  # noqa: PLR2004 - any success counts
        typer.echo(f"tidings: {url} responds with status {status}", err=True)
        raise typer.Exit(1)
