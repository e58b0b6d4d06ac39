# SPDX-License-Identifier: MIT
"""`tidings keys`: create, list and revoke API keys, whether or not a server runs."""

from pathlib import Path
from typing import Annotated, Protocol, TypeAlias

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tidings.cli.durations import parse_lifetime
from tidings.cli.serve import ConfigFile, DatabaseUrl
from tidings.clock import SECOND
from tidings.config import load
from tidings.ids import API_KEY, DEFAULT_ORG, MANAGEMENT_ORG, ORG, is_id
from tidings.model import api_key
from tidings.settings import ConfigError

app = typer.Typer(help="API keys.", no_args_is_help=True)

UrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The URL of a running server to use instead of the database."),
]
TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", envvar="TIDINGS_TOKEN", help="An API key or a token, with --url."),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, as the API returns it.")]


class KeyAccess(Protocol):
    """A way to the keys: the database, or a server."""

    def get(self, path: str, **query: object) -> bytes:
        """Return the body of a successful GET."""
        ...

    def send(self, method: str, path: str, body: bytes) -> bytes:
        """Return the body of a successful request."""
        ...


class ListedKeyDetail(msgspec.Struct, rename="camel"):
    """The members of a key that extend the contract."""

    org_id: str
    created_by: str
    last_used_at: str | None
    revoked_at: str | None


class ListedKey(msgspec.Struct, rename="camel"):
    """A key as the server lists it."""

    id: str
    name: str
    censored_token: str
    created_at: str
    expires_at: str | None
    scopes: list[str]
    x: ListedKeyDetail

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields to print."""
        ends = f"revoked {self.x.revoked_at}" if self.x.revoked_at else self.expires_at or "never"
        place = () if "operator" in self.scopes else (self.x.org_id,)
        scopes = " ".join((*place, *self.scopes))
        return self.id, self.censored_token, self.name, scopes, ends, self.x.last_used_at or "never", self.x.created_by


class ListedKeyPage(msgspec.Struct):
    """A page of keys."""

    data: list[ListedKey]
    done: bool
    iterator: str | None = None


class CreatedKey(msgspec.Struct):
    """The part of a new key that is printed."""

    token: str
    id: str


@app.command()
def create(  # noqa: PLR0913 - each is a flag
    org: Annotated[str | None, typer.Argument(metavar="[ORG]", help="The organization's id, `org_…`.")] = None,
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="A name, such as the service that uses the key.")],
    operator: Annotated[
        bool, typer.Option("--operator", help="Make an operator's key: for the installation, not for an organization.")
    ] = False,
    application: Annotated[
        str | None, typer.Option("--application", metavar="APP", help="Only for this application: its id or uid.")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Make a key that cannot change anything.")] = False,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="How long it is valid, for example 90d or 12h.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the key only.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Create an API key and print it. It is shown once.

    Without --url, the key is written to the database, or on SQLite by the server that has the file open.
    """
    if operator and (application is not None or org is not None):
        raise ConfigError("--operator excludes an organization and --application: the key is for the installation")
    wrong = api_key.name_error(name)
    if wrong is not None:
        raise ConfigError(f"--{wrong}")
    if application is not None and not api_key.is_reference(application):
        raise ConfigError(f"--application {application!r} is not the id or uid of an application")
    owner = "operator" if operator else "organization" if application is None else f"application:{application}"
    body: dict[str, object] = {"name": name, "scopes": [owner, "read-only"] if read_only else [owner]}
    lifetime = parse_lifetime(expires, "--expires")
    if lifetime is not None:
        body["expiry"] = lifetime // SECOND
    place = MANAGEMENT_ORG if operator else _organization(org or DEFAULT_ORG)
    path = f"/api/v1/management/authentication/{place}/api-token"
    found = _access(url, token, db, config).send("POST", path, msgspec.json.encode(body))
    if as_json:
        typer.echo(found)
        return
    made = msgspec.json.decode(found, type=CreatedKey)
    typer.echo(made.token)
    if not quiet:
        typer.echo(f"Created {made.id}. The key is not shown again; store it now.", err=True)


@app.command("list")
def list_keys(  # noqa: PLR0913 - each is a flag
    org: Annotated[
        str | None, typer.Argument(metavar="[ORG]", help="The organization's id, `org_…`. Default: all.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=250, help="Maximum keys on the page.")] = 50,
    iterator: Annotated[str | None, typer.Option(metavar="ITERATOR", help="Iterator from the previous page.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """List API keys, newest first; those that ended stay for 90 days."""
    place = MANAGEMENT_ORG if org is None else _organization(org)
    path = f"/api/v1/management/authentication/{place}/api-token"
    body = _access(url, token, db, config).get(path, limit=limit, iterator=iterator)
    if as_json:
        typer.echo(body)
        return
    page = msgspec.json.decode(body, type=ListedKeyPage)
    _print(page.data)
    if not page.done:
        typer.echo(f"There are more: --iterator {page.iterator}", err=True)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, `key_…`.")],
    org: Annotated[
        str | None, typer.Option("--org", metavar="ORG", help="The organization, if --token is not an operator's key.")
    ] = None,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Revoke an API key. Every node refuses it within two seconds."""
    if not is_id(key_id, API_KEY):
        raise ConfigError("pass the id of the key, key_…, from `tidings keys list`")
    place = MANAGEMENT_ORG if org is None else _organization(org)
    path = f"/api/v1/management/authentication/{place}/api-token/{key_id}/expire"
    _access(url, token, db, config).send("POST", path, b"{}")
    typer.echo(f"Revoked {key_id}.", err=True)


def _organization(org: str) -> str:
    if not org.startswith(ORG) or not org.replace("_", "").isalnum() or not org.isascii():
        raise ConfigError(f"{org!r} is not an organization id; it must start with {ORG}")
    return org


def _access(url: str | None, token: str | None, db: str | None, config: Path | None) -> KeyAccess:
    from tidings.cli import key_access  # noqa: PLC0415 - slow to import, and unused by other commands

    return key_access.access(load(file=config, db_dsn=db), url, token)


def _print(found: list[ListedKey]) -> None:
    """Print a table on a terminal, and lines of tab-separated fields elsewhere."""
    console = Console()
    if not console.is_terminal:
        for key in found:
            typer.echo("\t".join(key.fields))
        return
    table = Table("id", "key", "name", "scopes", "ends", "last used", "created by")
    for key in found:
        table.add_row(*key.fields)
    console.print(table)
