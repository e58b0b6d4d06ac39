# SPDX-License-Identifier: MIT
"""`tidings environment export` and `import`: the configuration of an organization as a file."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from tidings.cli.documents import DocumentArgument, label_of, read_value
from tidings.cli.remote import BadArgumentError, Remote
from tidings.cli.tasks import DEFAULT_URL, TokenOption, UrlOption
from tidings.model import yaml_text

_TIMEOUT_SECONDS: Final = 120.0
"""The largest import takes seconds, and imports of one organization run one after the other."""
_PARTS: Final = {"eventTypes": "event type", "connectors": "connector", "settings": "setting"}

app = typer.Typer(
    help="The configuration of an organization: event types, connectors and settings.", no_args_is_help=True
)


class ExportFormat(StrEnum):
    """The formats of an export."""

    JSON = "json"
    YAML = "yaml"


@app.command("export")
def export_environment(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write this file instead of standard output.")
    ] = None,
    format_: Annotated[
        ExportFormat | None, typer.Option("--format", help="Default: YAML for .yaml and .yml files, else JSON.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
) -> None:
    """Export the event types, the connectors and the imported settings of the organization, for an import."""
    body = Remote(url, token, timeout_seconds=_TIMEOUT_SECONDS).send("POST", "/api/v1/environment/export", b"{}")
    is_yaml = format_ is ExportFormat.YAML or (
        format_ is None and output is not None and output.suffix in (".yaml", ".yml")
    )
    text = yaml_text.written(msgspec.json.decode(body)) if is_yaml else f"{msgspec.json.format(body).decode()}\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    _replace(output, text)
    typer.echo(f"Exported {_numbers(msgspec.json.decode(body))} to {output}.", err=True)


@app.command("import")
def import_environment(file: DocumentArgument, *, url: UrlOption = DEFAULT_URL, token: TokenOption = None) -> None:
    """Create and update the event types, connectors and settings of a file: all of them or none.

    An import deletes nothing. A second import of the same file changes nothing.
    """
    given = read_value(file)
    if not isinstance(given, dict) or not given.keys() & _PARTS.keys():
        raise BadArgumentError(
            f"{label_of(file)} has none of {', '.join(_PARTS)}; for an OpenAPI document,"
            " use `tidings event-types import-openapi`"
        )
    remote = Remote(url, token, timeout_seconds=_TIMEOUT_SECONDS)
    remote.send("POST", "/api/v1/environment/import", msgspec.json.encode(given))
    typer.echo(f"Imported {_numbers(given)}.", err=True)


def _numbers(environment: dict[str, Any]) -> str:
    """Return how many items each part of a configuration has, in words."""
    counts = {word: len(environment.get(member) or ()) for member, word in _PARTS.items()}
    return ", ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for word, count in counts.items())


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only: scripts and settings may hold secrets."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
