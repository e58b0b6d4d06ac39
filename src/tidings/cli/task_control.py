# SPDX-License-Identifier: MIT
"""`tidings tasks cancel|pause|resume|retry|items`: control a task, and list the outcomes of its items."""

from typing import Annotated, Final
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tidings.cli.remote import Remote
from tidings.cli.tasks import DEFAULT_URL, JsonOption, TaskIdArgument, TokenOption, UrlOption, print_task
from tidings.model.task_item import ItemOutcome


class RemoteItem(msgspec.Struct, rename="camel"):
    """An item as the server returns it."""

    id: str
    outcome: str
    msg_id: str | None = None
    response_status_code: int | None = None
    at: str | None = None
    reason: str | None = None

    @property
    def fields(self) -> tuple[str, str, str, str]:
        """The fields to print."""
        code = None if self.response_status_code is None else str(self.response_status_code)
        return self.msg_id or self.id, self.outcome, self.reason or code or "", self.at or ""


class RemoteItemPage(msgspec.Struct):
    """A page of items."""

    data: list[RemoteItem]
    done: bool
    iterator: str | None = None


_items: Final = msgspec.json.Decoder(RemoteItemPage)


def cancel(
    task_id: TaskIdArgument, *, url: UrlOption = DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Cancel a task, and the deliveries it rescheduled that are not in flight."""
    _command(Remote(url, token), task_id, "cancel", as_json=as_json)


def pause(
    task_id: TaskIdArgument, *, url: UrlOption = DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Pause a task."""
    _command(Remote(url, token), task_id, "pause", as_json=as_json)


def resume(
    task_id: TaskIdArgument, *, url: UrlOption = DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Resume a paused task."""
    _command(Remote(url, token), task_id, "resume", as_json=as_json)


def retry(
    task_id: TaskIdArgument, *, url: UrlOption = DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Retry a failed task from its last checkpoint."""
    _command(Remote(url, token), task_id, "retry", as_json=as_json)


def _command(remote: Remote, task_id: str, name: str, *, as_json: bool) -> None:
    print_task(remote.send("POST", f"/api/v1/background-task/{quote(task_id, safe='')}/{name}"), as_json=as_json)


def items(  # noqa: PLR0913 - each is a flag
    task_id: TaskIdArgument,
    *,
    outcome: Annotated[ItemOutcome | None, typer.Option(help="List only items with this outcome.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=250, help="Maximum items on the page.")] = 50,
    iterator: Annotated[str | None, typer.Option(metavar="ITERATOR", help="Iterator from the previous page.")] = None,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the items of a task and their outcomes."""
    outcome_value = None if outcome is None else outcome.value
    path = f"/api/v1/background-task/{quote(task_id, safe='')}/items"
    body = Remote(url, token).get(path, outcome=outcome_value, limit=limit, iterator=iterator)
    if as_json:
        typer.echo(body)
        return
    page = _items.decode(body)
    _print(page.data)
    if not page.done:
        typer.echo(f"There are more: --iterator {page.iterator}", err=True)


def _print(found: list[RemoteItem]) -> None:
    """Print a table on a terminal, and lines of tab-separated fields elsewhere."""
    console = Console()
    if not console.is_terminal:
        for item in found:
            typer.echo("\t".join(item.fields))
        return
    table = Table("item", "outcome", "reason", "at")
    for item in found:
        table.add_row(*item.fields)
    console.print(table)
