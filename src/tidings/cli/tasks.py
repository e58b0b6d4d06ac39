# SPDX-License-Identifier: MIT
"""`tidings tasks`: list, show and watch background tasks over HTTP."""

import time
from enum import Enum
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tidings.cli.remote import Remote, Unreachable

_POLL_SECONDS: Final = 0.25
_UNREACHABLE_SECONDS: Final = 30.0

app = typer.Typer(help="Background tasks of a running server.", no_args_is_help=True)

UrlOption: TypeAlias = Annotated[
    str, typer.Option("--url", metavar="URL", envvar="TIDINGS_URL", help="The server's URL.")
]
TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token", metavar="TOKEN", envvar="TIDINGS_TOKEN", help="A token, for example from `tidings jwt generate`."
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the response as JSON.")]
TaskIdArgument: TypeAlias = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, `qtask_…`.")]
DEFAULT_URL: Final = "http://127.0.0.1:8071"


class RemoteTaskStatus(Enum):
    """The three statuses of a task in the contract."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class RemoteTaskProgress(msgspec.Struct, rename="camel"):
    """The progress of a task."""

    done: int = 0
    skipped: int = 0
    total: int | None = None
    rate_per_second: float | None = None
    eta_seconds: int | None = None


class RemoteTaskError(msgspec.Struct):
    """The error of a failed task."""

    code: str
    detail: str


class RemoteTaskDetail(msgspec.Struct, rename="camel"):
    """The members of a task that extend the contract."""

    state: str
    progress: RemoteTaskProgress
    error: RemoteTaskError | None = None


class RemoteTask(msgspec.Struct, rename="camel"):
    """A task as the server returns it. A server other than tidings omits `x`."""

    id: str
    task: str
    status: RemoteTaskStatus
    updated_at: str
    data: dict[str, Any]
    x: RemoteTaskDetail | None = None

    @property
    def state(self) -> str:
        """The state, or the status if the server returns no state."""
        return self.status.value if self.x is None else self.x.state

    @property
    def progress(self) -> RemoteTaskProgress:
        return RemoteTaskProgress() if self.x is None else self.x.progress

    @property
    def visited(self) -> int:
        """The number of items processed or skipped."""
        return self.progress.done + self.progress.skipped

    @property
    def progress_text(self) -> str:
        """The number of visited items, with the total if it is known."""
        total = self.progress.total
        return str(self.visited) if total is None else f"{self.visited}/{total}"


class RemoteTaskPage(msgspec.Struct):
    """A page of tasks."""

    data: list[RemoteTask]
    done: bool
    iterator: str | None = None


_one: Final = msgspec.json.Decoder(RemoteTask)
_page: Final = msgspec.json.Decoder(RemoteTaskPage)


@app.command("list")
def list_tasks(  # noqa: PLR0913 - each is a flag
    *,
    status: Annotated[RemoteTaskStatus | None, typer.Option(help="List only tasks with this status.")] = None,
    task: Annotated[
        str | None, typer.Option(metavar="KIND", help="List only tasks of this kind, for example endpoint.recover.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=250, help="Maximum tasks on the page.")] = 50,
    iterator: Annotated[str | None, typer.Option(metavar="ITERATOR", help="Iterator from the previous page.")] = None,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tasks of the past 90 days, newest first."""
    status_value = None if status is None else status.value
    body = Remote(url, token).get(
        "/api/v1/background-task", status=status_value, task=task, limit=limit, iterator=iterator
    )
    if as_json:
        typer.echo(body)
        return
    page = _page.decode(body)
    _print_table(page.data)
    if not page.done:
        typer.echo(f"There are more: --iterator {page.iterator}", err=True)


@app.command("get")
def get_task(
    task_id: TaskIdArgument, *, url: UrlOption = DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Show one task."""
    print_task(_fetch(Remote(url, token), task_id), as_json=as_json)


@app.command("watch")
def watch_task(
    task_id: TaskIdArgument, *, url: UrlOption = DEFAULT_URL, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Follow one task to its end; exit with 0 if it finished, with 1 if it failed."""
    follow(Remote(url, token), task_id, as_json=as_json)


def print_task(body: bytes, *, as_json: bool) -> None:
    """Print a task."""
    if as_json:
        typer.echo(body)
        return
    for name, value in _lines(_one.decode(body)):
        typer.echo(f"{name:<10}{value}")


def follow(remote: Remote, task_id: str, *, as_json: bool) -> None:
    """Print the progress of a task until it ends, then its result; exit with 1 if it failed."""
    console = Console()
    if as_json or not console.is_terminal:
        last = _follow_plainly(remote, task_id, as_json=as_json)
    else:
        last = _follow_on_a_bar(remote, task_id, console)
    if last.status is RemoteTaskStatus.FAILED:
        error = None if last.x is None else last.x.error
        typer.echo(f"tidings: {task_id} failed" + (f": {error.detail}" if error else ""), err=True)
        raise typer.Exit(1)
    if not as_json:
        for name, value in last.data.items():
            _print_result(console, name, value)


def _fetch(remote: Remote, task_id: str) -> bytes:
    return remote.get(f"/api/v1/background-task/{quote(task_id, safe='')}")


def _lines(task: RemoteTask) -> list[tuple[str, str]]:
    lines = [
        ("id", task.id),
        ("task", task.task),
        ("status", task.status.value),
        ("state", task.state),
        ("progress", task.progress_text),
        ("updated", task.updated_at),
        ("data", msgspec.json.encode(task.data).decode()),
    ]
    if task.x is not None and task.x.error is not None:
        lines.append(("error", f"{task.x.error.code}: {task.x.error.detail}"))
    return lines


def _print_table(tasks: list[RemoteTask]) -> None:
    """Print a table on a terminal, and lines of tab-separated fields elsewhere."""
    console = Console()
    if not console.is_terminal:
        for task in tasks:
            typer.echo(f"{task.id}\t{task.task}\t{task.state}\t{task.progress_text}\t{task.updated_at}")
        return
    table = Table("id", "task", "state", "progress", "updated")
    for task in tasks:
        table.add_row(task.id, task.task, task.state, task.progress_text, task.updated_at)
    console.print(table)


def _print_result(console: Console, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print a count as a line, and a list as a table on a terminal or as tab-separated lines elsewhere."""
    if not isinstance(value, list):
        typer.echo(f"{name} {_text(value)}")
        return
    rows = [[_text(field) for field in each.values()] if isinstance(each, dict) else [_text(each)] for each in value]
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join((name, *row)))
        return
    first = value[0] if value else None
    table = Table(*(first if isinstance(first, dict) else ("",)), title=name)
    for row in rows:
        table.add_row(*map(Text, row))  # plain text, without rich markup
    console.print(table)


def _text(value: Any) -> str:  # noqa: ANN401
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return msgspec.json.encode(value).decode()


class _Watch:
    """Polls one task, and tolerates a restart of the server."""

    def __init__(self, remote: Remote, task_id: str) -> None:
        self._remote = remote
        self._task_id = task_id
        self._responded_at: float | None = None
        self.body = b""

    def poll(self) -> RemoteTask | None:
        """Return the task, or None while the server does not respond."""
        try:
            self.body = _fetch(self._remote, self._task_id)
        except Unreachable:
            if self._responded_at is None or time.monotonic() - self._responded_at > _UNREACHABLE_SECONDS:
                raise
            return None
        self._responded_at = time.monotonic()
        return _one.decode(self.body)


def _follow_plainly(remote: Remote, task_id: str, *, as_json: bool) -> RemoteTask:
    watch = _Watch(remote, task_id)
    printed = ""
    while True:
        task = watch.poll()
        if task is not None:
            line = watch.body.decode() if as_json else f"{task.id} {task.state} {task.progress_text}"
            if line != printed:
                typer.echo(line)
                printed = line
            if task.status is not RemoteTaskStatus.RUNNING:
                return task
        time.sleep(_POLL_SECONDS)


def _follow_on_a_bar(remote: Remote, task_id: str, console: Console) -> RemoteTask:
    watch = _Watch(remote, task_id)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[status]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task(task_id, total=None, status="")
        while True:
            task = watch.poll()
            if task is None:
                progress.update(bar, status="the server does not respond; retrying")
            else:
                progress.update(bar, total=task.progress.total, completed=task.visited, status=_status_line(task))
                if task.status is not RemoteTaskStatus.RUNNING:
                    return task
            time.sleep(_POLL_SECONDS)


def _status_line(task: RemoteTask) -> str:
    line = f"{task.state} {task.progress_text}"
    if task.progress.eta_seconds is not None:
        line += f", {task.progress.eta_seconds} s left"
    return line
