# SPDX-License-Identifier: MIT
"""The commands of `tidings tasks run`, built from the declarations of the kinds."""

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
import typer

from tidings.api.routes import PREFIX
from tidings.cli.remote import BadArgumentError, Remote
from tidings.cli.tasks import DEFAULT_URL, JsonOption, TokenOption, UrlOption, follow
from tidings.cli.timestamps import parse_timestamp
from tidings.clock import SystemClock
from tidings.model import surrogates
from tidings.tasks.command import CliCommand, CliParameter, Target, Value
from tidings.tasks.declaration import Declaration
from tidings.tasks.registry import PUBLIC

DryRunOption: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Show what the task would do, without starting it.")
]
WaitOption: TypeAlias = Annotated[bool, typer.Option("--wait", help="Follow the task to its end.")]

_STDIN: Final = "-"
_TYPES: Final[dict[Value, Any]] = {Value.TEXTS: list[str] | None, Value.NUMBER: int | None, Value.FLAG: bool}
_METAVARS: Final = {Value.NUMBER: "N", Value.FLAG: "", Value.TIMESTAMP: "TIME", Value.JSON: "JSON"}
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


def commands() -> dict[str, Callable[..., None]]:
    """Return the function of each command, by its name."""
    return {kind.command.name: _function(kind, kind.command) for kind in PUBLIC if kind.command is not None}


def _function(kind: Declaration, command: CliCommand) -> Callable[..., None]:
    """Return a function with the parameters of a command, from which typer makes the options and the help."""

    def run(**given: Any) -> None:  # noqa: ANN401 - values of many types
        options = _Options(
            Remote(given.pop("url"), given.pop("token")),
            given.pop("dry_run"),
            given.pop("wait"),
            given.pop("as_json"),
        )
        options.start(kind, {each: given[_identifier(each)] for each in command.parameters})

    run.__doc__ = command.help
    run.__signature__ = inspect.Signature(list(_signature(command)))  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run


def _signature(command: CliCommand) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a function: those of the command, then those of every command."""
    for each in command.parameters:
        yield _parameter(_identifier(each), *_annotated(each))
    yield _parameter("dry_run", DryRunOption, default=False)
    yield _parameter("wait", WaitOption, default=False)
    yield _parameter("url", UrlOption, DEFAULT_URL)
    yield _parameter("token", TokenOption, None)
    yield _parameter("as_json", JsonOption, default=False)


def _parameter(name: str, annotation: object, default: object = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _identifier(parameter: CliParameter) -> str:
    return parameter.name.replace("-", "_").lower()


def _annotated(parameter: CliParameter) -> tuple[object, object]:
    """Return the annotation and the default of a parameter."""
    if parameter.is_argument:
        return Annotated[str, typer.Argument(metavar=parameter.name, help=parameter.help)], inspect.Parameter.empty
    option = typer.Option(
        f"--{parameter.name}",
        metavar=_METAVARS.get(parameter.value, "TEXT"),
        help=parameter.help,
        min=parameter.minimum,
        max=parameter.maximum,
    )
    if parameter.is_required:
        return Annotated[str, option], inspect.Parameter.empty
    if parameter.default is not None:
        return Annotated[str, option], parameter.default
    kind = _TYPES.get(parameter.value, str | None)
    return Annotated[kind, option], False if parameter.value is Value.FLAG else None


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of every kind of task."""

    remote: Remote
    dry_run: bool
    wait: bool
    as_json: bool

    def start(self, kind: Declaration, given: dict[CliParameter, Any]) -> None:
        """Start a task, or estimate it in a dry run."""
        assert kind.route is not None  # noqa: S101 - a command needs a route
        parts: dict[Target, dict[str, Any]] = {target: {} for target in Target}
        for parameter, value in given.items():
            if (found := _value(parameter, value)) is not None:
                parts[parameter.target][parameter.key] = found
        path = kind.route.path.format_map({name: quote(text, safe="") for name, text in parts[Target.PATH].items()})
        body = msgspec.json.encode(parts[Target.BODY]) if kind.route.has_body else None
        dry = "true" if self.dry_run else None
        response = self.remote.send(kind.route.method, f"{PREFIX}{path}", body, dryRun=dry, **parts[Target.QUERY])
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


def _value(parameter: CliParameter, given: Any) -> Any:  # noqa: ANN401 - a value of the request
    """Return the value of a parameter in the request, or None to leave it out."""
    match parameter.value:
        case Value.TIMESTAMP if given is not None:
            return parse_timestamp(given, f"--{parameter.name}", _clock)
        case Value.JSON:
            return msgspec.Raw(_payload(given))
        case Value.FLAG:
            return "true" if given else None
        case Value.TEXTS:
            return given or None
        case _:
            return given


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
