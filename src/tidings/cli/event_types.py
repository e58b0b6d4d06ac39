# SPDX-License-Identifier: MIT
"""`tidings event-types import-openapi`: import event types from an OpenAPI document."""

from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidings.cli.documents import DocumentArgument, read_text
from tidings.cli.remote import Remote
from tidings.cli.tasks import DEFAULT_URL, JsonOption, TokenOption, UrlOption

_TIMEOUT_SECONDS: Final = 120.0
"""The largest import takes seconds, and imports of one organization run one after the other."""

app = typer.Typer(help="Event types of a running server.", no_args_is_help=True)


class RemoteImportDetail(msgspec.Struct, rename="camel"):
    """The members of an import that extend the contract."""

    created: list[str]
    updated: list[str]
    archived: list[str]
    in_use: list[str]
    unchanged: int

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The changes to print, each with the name of its event type."""
        used = set(self.in_use)
        return [
            *(("created", name) for name in self.created),
            *(("updated", name) for name in self.updated),
            *(("archived, in use" if name in used else "archived", name) for name in self.archived),
        ]


class RemoteImportData(msgspec.Struct):
    """What an import changes. A server other than tidings omits `x`."""

    modified: list[str]
    x: RemoteImportDetail | None = None

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The changes to print, each with the name of its event type."""
        return [("modified", name) for name in self.modified] if self.x is None else self.x.rows

    def summary(self, *, dry_run: bool) -> str:
        """Return the numbers of changes as a sentence."""
        prefix = "Dry run, nothing is changed: " if dry_run else "Imported: "
        if self.x is None:
            return f"{prefix}{len(self.modified)} modified."
        x = self.x
        counts = (len(x.created), "created"), (len(x.updated), "updated"), (len(x.archived), "archived")
        words = ", ".join(f"{number:,} {word}" for number, word in (*counts, (x.unchanged, "unchanged")))
        return f"{prefix}{words}."


class RemoteImport(msgspec.Struct):
    """An import as the server returns it."""

    data: RemoteImportData


_import: Final = msgspec.json.Decoder(RemoteImport)


@app.callback()
def event_types() -> None:
    """Make `event-types` a command group although it has one command."""


@app.command("import-openapi")
def import_openapi(
    file: DocumentArgument,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what the import would change.")] = False,
    replace_all: Annotated[
        bool, typer.Option("--replace-all", help="Archive the event types that the document does not have.")
    ] = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create and update event types from the webhooks of an OpenAPI document: all of them or none.

    What the document does not state stays as it is. A second import of the same document changes nothing.
    """
    body = msgspec.json.encode({"specRaw": read_text(file), "dryRun": dry_run, "replaceAll": replace_all})
    remote = Remote(url, token, timeout_seconds=_TIMEOUT_SECONDS)
    found = remote.send("POST", "/api/v1/event-type/import/openapi", body)
    if as_json:
        typer.echo(found)
        return
    data = _import.decode(found).data
    _print(data.rows)
    typer.echo(data.summary(dry_run=dry_run), err=True)
    used = 0 if data.x is None else len(data.x.in_use)
    if used:
        types = "1 archived event type" if used == 1 else f"{used:,} archived event types"
        typer.echo(f"Endpoints subscribe to {types}; they keep these subscriptions.", err=True)


def _print(rows: list[tuple[str, str]]) -> None:
    """Print a table on a terminal, and lines of tab-separated fields elsewhere."""
    console = Console()
    if not console.is_terminal:
        for each in rows:
            typer.echo("\t".join(each))
        return
    if rows:
        table = Table("change", "event type")
        for each in rows:
            table.add_row(*map(Text, each))
        console.print(table)
