# SPDX-License-Identifier: MIT
"""`tidings tasks run`: start a task of any kind, or estimate it in a dry run."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
import typer

from tidings.cli.remote import BadArgumentError, Remote
from tidings.cli.tasks import DEFAULT_URL, JsonOption, TokenOption, UrlOption, follow
from tidings.cli.timestamps import parse_timestamp
from tidings.clock import SystemClock
from tidings.model import surrogates

app = typer.Typer(help="Start a background task.", no_args_is_help=True)

AppArgument: TypeAlias = Annotated[str, typer.Argument(metavar="APP", help="The application's id or uid.")]
EndpointArgument: TypeAlias = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id or uid.")]
SinceOption: TypeAlias = Annotated[
    str, typer.Option(help="Start of the range: an age (`2h`) or an RFC 3339 timestamp.")
]
UntilOption: TypeAlias = Annotated[str | None, typer.Option(help="End of the range. Default: now.")]
RateOption: TypeAlias = Annotated[int | None, typer.Option("--rate", min=1, help="Maximum messages per second.")]
ForceOption: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Accept a disabled endpoint, and wait until it is enabled.")
]
DryRunOption: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Show what the task would do, without starting it.")
]
WaitOption: TypeAlias = Annotated[bool, typer.Option("--wait", help="Follow the task to its end.")]

_STDIN: Final = "-"
_clock: Final = SystemClock()


class StartedTask(msgspec.Struct):
    """The response for a started task."""

    id: str


class DryRunResult(msgspec.Struct, rename="camel"):
    """The estimate of a task."""

    task: str
    total: int | None
    exact: bool
    estimate_seconds: int | None
    sample: list[str]

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The fields to print."""
        total = "unknown" if self.total is None else f"{self.total}" if self.exact else f"about {self.total}"
        seconds = "unknown" if self.estimate_seconds is None else f"{self.estimate_seconds} s"
        return [("task", self.task), ("total", total), ("takes", seconds), ("sample", " ".join(self.sample))]


_started: Final = msgspec.json.Decoder(StartedTask)
_dry_run_result: Final = msgspec.json.Decoder(DryRunResult)


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of every kind of task."""

    remote: Remote
    dry_run: bool
    wait: bool
    as_json: bool

    def start(self, method: str, path: str, body: dict[str, Any] | None = None, **query: object) -> None:
        """Start a task, or estimate it in a dry run."""
        given = {name: value for name, value in (body or {}).items() if value is not None}
        sent = None if body is None else msgspec.json.encode(given)
        dry = "true" if self.dry_run else None
        response = self.remote.send(method, f"/api/v1{path}", sent, dryRun=dry, **query)
        if self.dry_run:
            self._show_dry_run(response)
        elif self.wait:
            follow(self.remote, _started.decode(response).id, as_json=self.as_json)
        else:
            self._print_started(response)

    def _show_dry_run(self, response: bytes) -> None:
        if self.as_json:
            typer.echo(response)
            return
        for name, value in _dry_run_result.decode(response).lines:
            typer.echo(f"{name:<10}{value}")

    def _print_started(self, response: bytes) -> None:
        if self.as_json:
            typer.echo(response)
            return
        task_id = _started.decode(response).id
        typer.echo(task_id)
        typer.echo(f"Started. Follow it with: tidings tasks watch {task_id}", err=True)


def _window(since: str, until: str | None, rate: int | None) -> dict[str, Any]:
    ends = None if until is None else parse_timestamp(until, "--until", _clock)
    return {"since": parse_timestamp(since, "--since", _clock), "until": ends, "ratePerSecond": rate}


def _endpoint_path(app_id: str, endpoint_id: str, name: str) -> str:
    return f"/app/{quote(app_id, safe='')}/endpoint/{quote(endpoint_id, safe='')}/{name}"


def _force_flag(force: bool) -> str | None:  # noqa: FBT001 - passed on from a flag
    return "true" if force else None


@app.command("recover")
def recover(  # noqa: PLR0913 - each is a flag
    app_id: AppArgument,
    endpoint_id: EndpointArgument,
    *,
    since: SinceOption,
    until: UntilOption = None,
    rate: RateOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Resend the messages whose delivery to an endpoint failed."""
    path = _endpoint_path(app_id, endpoint_id, "recover")
    options = _Options(Remote(url, token), dry_run, wait, as_json)
    options.start("POST", path, _window(since, until, rate), force=_force_flag(force))


@app.command("replay")
def replay(  # noqa: PLR0913 - each is a flag
    app_id: AppArgument,
    endpoint_id: EndpointArgument,
    *,
    since: SinceOption,
    until: UntilOption = None,
    rate: RateOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send the messages that an endpoint has never been sent."""
    path = _endpoint_path(app_id, endpoint_id, "replay-missing")
    options = _Options(Remote(url, token), dry_run, wait, as_json)
    options.start("POST", path, _window(since, until, rate), force=_force_flag(force))


@app.command("bulk-replay")
def bulk_replay(  # noqa: PLR0913 - each is a flag
    app_id: AppArgument,
    endpoint_id: EndpointArgument,
    *,
    since: SinceOption,
    until: UntilOption = None,
    event_type: Annotated[
        list[str] | None, typer.Option(help="Only messages with this event type; may be repeated.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only messages with this channel.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only messages with this tag.")] = None,
    status: Annotated[
        int | None,
        typer.Option(
            min=0, max=4, help="Only messages with this status: 0 is success, 2 is failure, 3 is scheduled for a retry."
        ),
    ] = None,
    code_class: Annotated[
        int | None,
        typer.Option(help="Only messages whose response status was in this class: 0 (no response), 100, 200, … 500."),
    ] = None,
    rate: RateOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Resend messages that an endpoint was sent before, delivered or not."""
    filters = {"channel": channel, "tag": tag, "status": status, "statusCodeClass": code_class}
    body = {**_window(since, until, rate), "eventTypes": event_type or None, **filters}
    options = _Options(Remote(url, token), dry_run, wait, as_json)
    options.start("POST", _endpoint_path(app_id, endpoint_id, "bulk-replay"), body, force=_force_flag(force))


@app.command("stats")
def stats(  # noqa: PLR0913 - each is a flag
    *,
    since: SinceOption,
    until: Annotated[str, typer.Option(help="End of the range: an age (`0s`) or an RFC 3339 timestamp.")] = "0s",
    app_id: Annotated[list[str] | None, typer.Option("--app", help="Only this application; may be repeated.")] = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the attempts of each application."""
    window = {"since": parse_timestamp(since, "--since", _clock), "until": parse_timestamp(until, "--until", _clock)}
    _Options(Remote(url, token), dry_run, wait, as_json).start(
        "POST", "/stats/usage/app", {**window, "appIds": app_id or None}
    )


@app.command("aggregate")
def aggregate(
    *,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the event types to which the endpoints of each application subscribe."""
    _Options(Remote(url, token), dry_run, wait, as_json).start("PUT", "/stats/usage/event-types")


@app.command("purge")
def purge(
    app_id: AppArgument,
    *,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete the payloads of all messages of an application. This cannot be undone."""
    _Options(Remote(url, token), dry_run, wait, as_json).start(
        "POST", f"/app/{quote(app_id, safe='')}/msg/expunge-all-contents"
    )


@app.command("broadcast")
def broadcast(  # noqa: PLR0913 - each is a flag
    event_type: Annotated[str, typer.Argument(metavar="EVENT_TYPE", help="The message's event type.")],
    payload: Annotated[str, typer.Argument(metavar="PAYLOAD", help="A JSON object, @file, or - for standard input.")],
    *,
    event_id: Annotated[
        str | None, typer.Option(help="Event id of the message. Applications that have a message with it are skipped.")
    ] = None,
    channel: Annotated[list[str] | None, typer.Option(help="A channel of the message; may be repeated.")] = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a message to every application."""
    more = {"eventId": event_id, "channels": channel or None}
    body = {"eventType": event_type, "payload": msgspec.Raw(_payload(payload)), **more}
    _Options(Remote(url, token), dry_run, wait, as_json).start("POST", "/msg/broadcast", body)


@app.command("export")
def export(
    *,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export the event types as an archive, with models for Python and TypeScript."""
    _Options(Remote(url, token), dry_run, wait, as_json).start("POST", "/event-type/export/openapi")


def _payload(given: str) -> bytes:
    """Return the payload, byte for byte. Raises `BadArgumentError` unless it is a JSON object."""
    try:
        if given == _STDIN:
            body = sys.stdin.buffer.read()
        else:
            body = Path(given[1:]).read_bytes() if given.startswith("@") else given.encode()
        if surrogates.is_object(body):
            return body
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except OSError as error:
        raise BadArgumentError(f"the payload cannot be read: {error}") from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadArgumentError(f"the payload is not a JSON object: {error}") from error
    return body
