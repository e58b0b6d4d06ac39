# SPDX-License-Identifier: MIT
"""`tidings deliveries explain`: the state of a message at each endpoint, with the reason, over HTTP."""

from typing import Annotated, Final
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidings.cli.remote import Remote
from tidings.cli.tasks import DEFAULT_URL, JsonOption, TokenOption, UrlOption

app = typer.Typer(help="Deliveries of messages to endpoints.", no_args_is_help=True)
_COLUMNS: Final = ("endpoint", "state", "reason", "attempts", "next attempt", "detail")


@app.callback()
def deliveries() -> None:
    """Make `deliveries` a command group although it has one command."""


class RemoteDeliveryReason(msgspec.Struct):
    """The reason for the state of a delivery."""

    code: str
    detail: str
    certain: bool = True


class RemoteDelivery(msgspec.Struct, rename="camel"):
    """A delivery as the server returns it."""

    endpoint_id: str
    state: str
    reason: RemoteDeliveryReason
    attempt_count: int = 0
    next_attempt_at: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The values of the columns."""
        code = self.reason.code if self.reason.certain else f"{self.reason.code}?"
        return (
            self.endpoint_id,
            self.state,
            code,
            str(self.attempt_count),
            self.next_attempt_at or "",
            self.reason.detail,
        )


class RemoteDeliveryPage(msgspec.Struct):
    """A page of deliveries."""

    data: list[RemoteDelivery]
    done: bool
    iterator: str | None = None


_page: Final = msgspec.json.Decoder(RemoteDeliveryPage)


@app.command("explain")
def explain(  # noqa: PLR0913 - each is a flag
    app_ref: Annotated[str, typer.Argument(metavar="APP", help="The application's id or uid.")],
    msg_ref: Annotated[str, typer.Argument(metavar="MSG", help="The message's id or event id.")],
    *,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=250, help="Maximum endpoints on the page.")] = 50,
    iterator: Annotated[str | None, typer.Option(metavar="ITERATOR", help="Iterator from the previous page.")] = None,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the state of a message at each endpoint, and the reason; `?` marks an uncertain reason."""
    path = f"/api/v1/app/{quote(app_ref, safe='')}/msg/{quote(msg_ref, safe='')}/delivery"
    body = Remote(url, token).get(path, limit=limit, iterator=iterator)
    if as_json:
        typer.echo(body)
        return
    page = _page.decode(body)
    _print(page.data)
    if not page.done:
        typer.echo(f"There are more: --iterator {page.iterator}", err=True)


def _print(found: list[RemoteDelivery]) -> None:
    """Print a table on a terminal, and lines of tab-separated fields elsewhere."""
    console = Console()
    if not console.is_terminal:
        for each in found:
            typer.echo("\t".join(each.fields))
        return
    table = Table(*_COLUMNS)
    for each in found:
        table.add_row(*map(Text, each.fields))
    console.print(table)
