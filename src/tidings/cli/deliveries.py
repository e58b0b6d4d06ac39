# SPDX-License-Identifier: MIT
"""`tidings deliveries list` and `explain`: undelivered messages, and one message at each endpoint, with the reasons."""

from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidings.cli.remote import BadArgumentError, Remote
from tidings.cli.status import RemoteCount
from tidings.cli.tasks import DEFAULT_URL, JsonOption, TokenOption, UrlOption
from tidings.cli.timestamps import parse_timestamp
from tidings.clock import SystemClock

app = typer.Typer(help="Deliveries of messages to endpoints.", no_args_is_help=True)
_COLUMNS: Final = ("endpoint", "state", "reason", "attempts", "next attempt", "detail")
_LIST_COLUMNS: Final = (
    "created",
    "message",
    "event type",
    "endpoint",
    "state",
    "reason",
    "attempts",
    "last attempt",
    "next attempt",
)
_clock: Final = SystemClock()
LimitOption = Annotated[int, typer.Option(metavar="N", min=1, max=250, help="Maximum rows on the page.")]
IteratorOption = Annotated[str | None, typer.Option(metavar="ITERATOR", help="Iterator from the previous page.")]


class ListedState(StrEnum):
    """The states of undelivered messages."""

    SCHEDULED = "scheduled"
    IN_FLIGHT = "in_flight"
    EXHAUSTED = "exhausted"


class RemoteDeliveryReason(msgspec.Struct):
    """The reason for the state of a delivery."""

    code: str
    detail: str
    certain: bool = True

    @property
    def short(self) -> str:
        """The code, with a question mark if it is uncertain."""
        return self.code if self.certain else f"{self.code}?"


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
        return (
            self.endpoint_id,
            self.state,
            self.reason.short,
            str(self.attempt_count),
            self.next_attempt_at or "",
            self.reason.detail,
        )


class RemoteDeliveryPage(msgspec.Struct):
    """A page of deliveries."""

    data: list[RemoteDelivery]
    done: bool
    iterator: str | None = None


class RemoteAttempt(msgspec.Struct, rename="camel"):
    """The latest attempt of a delivery."""

    timestamp: str
    response_status_code: int

    @property
    def text(self) -> str:
        """The status code and the time."""
        return f"{self.response_status_code or 'no response'} at {self.timestamp}"


class RemoteUndelivered(msgspec.Struct, rename="camel"):
    """An undelivered message as the server returns it."""

    msg_id: str
    endpoint_id: str
    event_type: str
    timestamp: str
    state: str
    reason: RemoteDeliveryReason
    attempt_count: int
    last_attempt: RemoteAttempt | None
    next_attempt_at: str | None

    @property
    def fields(self) -> tuple[str, ...]:
        """The values of the columns."""
        return (
            self.timestamp,
            self.msg_id,
            self.event_type,
            self.endpoint_id,
            self.state,
            self.reason.short,
            str(self.attempt_count),
            "" if self.last_attempt is None else self.last_attempt.text,
            self.next_attempt_at or "",
        )


class RemoteUndeliveredPage(msgspec.Struct, rename="camel"):
    """A page of undelivered messages."""

    data: list[RemoteUndelivered]
    done: bool
    count: RemoteCount | None
    oldest_message_at: str | None
    iterator: str | None = None

    def summary(self, state: str) -> str | None:
        """Return the number of messages in a state, and the age of the oldest one, as a sentence; None if unknown."""
        if self.count is None:
            return None
        noun = "delivery is" if self.count == RemoteCount(1, is_exact=True) else "deliveries are"
        oldest = f"; the oldest message was created at {self.oldest_message_at}" if self.oldest_message_at else ""
        return f"{self.count.text} {noun} {state.replace('_', ' ')}{oldest}."


_page: Final = msgspec.json.Decoder(RemoteDeliveryPage)


_undelivered: Final = msgspec.json.Decoder(RemoteUndeliveredPage)


@app.command("list")
def list_undelivered(  # noqa: PLR0913 - each is a flag
    *,
    app_ref: Annotated[str | None, typer.Option("--app", metavar="APP", help="The application's id or uid.")] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="ENDPOINT", help="The endpoint's id or uid.")] = None,
    state: Annotated[ListedState, typer.Option(help="The state of the deliveries.")] = ListedState.EXHAUSTED,
    event_type: Annotated[
        list[str] | None, typer.Option(metavar="TYPE", help="Only this event type; may be repeated.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only messages with this channel.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only messages with this tag.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only messages created since: an age (`2h`) or a timestamp.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only messages created before.")] = None,
    limit: LimitOption = 50,
    iterator: IteratorOption = None,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the messages that an endpoint has not received, or those of all endpoints of the organization."""
    body = Remote(url, token).get(
        _list_path(app_ref, endpoint),
        state=state.value,
        event_types=",".join(event_type) if event_type else None,
        channel=channel,
        tag=tag,
        after=None if since is None else parse_timestamp(since, "--since", _clock),
        before=None if until is None else parse_timestamp(until, "--until", _clock),
        limit=limit,
        iterator=iterator,
    )
    if as_json:
        typer.echo(body)
        return
    page = _undelivered.decode(body)
    _print(_LIST_COLUMNS, [each.fields for each in page.data])
    summary = page.summary(state.value)
    if summary is not None:
        typer.echo(summary, err=True)
    _note_more(page.iterator, done=page.done)


def _list_path(app_ref: str | None, endpoint: str | None) -> str:
    if (app_ref is None) != (endpoint is None):
        raise BadArgumentError("--app and --endpoint go together; leave both out for all endpoints")
    if app_ref is None or endpoint is None:
        return "/api/v1/delivery"
    return f"/api/v1/app/{quote(app_ref, safe='')}/endpoint/{quote(endpoint, safe='')}/delivery"


@app.command("explain")
def explain(  # noqa: PLR0913 - each is a flag
    app_ref: Annotated[str, typer.Argument(metavar="APP", help="The application's id or uid.")],
    msg_ref: Annotated[str, typer.Argument(metavar="MSG", help="The message's id or event id.")],
    *,
    limit: LimitOption = 50,
    iterator: IteratorOption = None,
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
    _print(_COLUMNS, [each.fields for each in page.data])
    _note_more(page.iterator, done=page.done)


def _note_more(iterator: str | None, *, done: bool) -> None:
    if not done:
        typer.echo(f"There are more: --iterator {iterator}", err=True)


def _print(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table on a terminal, and lines of tab-separated fields elsewhere."""
    console = Console()
    if not console.is_terminal:
        for each in rows:
            typer.echo("\t".join(each))
        return
    table = Table(*columns)
    for each in rows:
        table.add_row(*map(Text, each))
    console.print(table)
