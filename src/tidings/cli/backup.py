# SPDX-License-Identifier: MIT
"""`tidings backup FILE` copies a SQLite database while the service runs on it."""

from pathlib import Path
from typing import Annotated

import typer

from tidings.cli.serve import ConfigFile, DatabaseUrl
from tidings.config import load
from tidings.settings import ConfigError


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to create.")],
    *,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Copy the SQLite database to a new file, also while the service runs. Use pg_dump on PostgreSQL."""
    path = load(file=config, db_dsn=db).sqlite_path
    if path is None:
        raise ConfigError("backup copies a SQLite file; for PostgreSQL, use pg_dump or pg_basebackup")
    from tidings.storage.drivers.sqlite_backup import back_up  # noqa: PLC0415 - only this command needs SQLite

    typer.echo(f"Backup: {back_up(path, file):,} bytes in {file}")
