# SPDX-License-Identifier: MIT
"""`tidings status`: outstanding deliveries and endpoints in trouble, from a running server or from the database."""

from datetime import datetime
from typing import Final

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidings.cli.remote import Remote
from tidings.cli.serve import ConfigFile, DatabaseUrl
from tidings.cli.tasks import DEFAULT_URL, JsonOption, TokenOption, UrlOption
from tidings.config import load

_DATABASE_UNITS: Final = (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10))
_AGES: Final = (("d", 86_400), ("h", 3_600), ("min", 60))
_WIDTH: Final = 12
_GAP: Final = 2


class RemoteCount(msgspec.Struct, rename="camel"):
    """A number that is counted up to a limit."""

    count: int
    is_exact: bool

    @property
    def text(self) -> str:
        """The number with separators, and a plus sign if there are more."""
        return f"{self.count:,}{'' if self.is_exact else '+'}"


class RemoteDepth(msgspec.Struct, rename="camel"):
    """The outstanding deliveries by state."""

    scheduled: RemoteCount
    in_flight: RemoteCount
    overdue: RemoteCount
    held_back: RemoteCount


class RemoteOldest(msgspec.Struct, rename="camel"):
    """The oldest overdue delivery."""

    age_seconds: int
    org_id: str
    app_id: str
    endpoint_id: str


class RemoteUnhealthy(msgspec.Struct, rename="camel"):
    """An endpoint that needs attention."""

    endpoint_id: str
    app_id: str
    app_name: str
    org_id: str
    host: str
    status: str
    is_unreachable: bool
    since: str
    last_response_status_code: int | None


class RemoteEndpoints(msgspec.Struct, rename="camel"):
    """The endpoints by health."""

    healthy: RemoteCount
    failing: RemoteCount
    unreachable: RemoteCount
    disabled: RemoteCount
    worst: list[RemoteUnhealthy]


class RemoteActiveTask(msgspec.Struct, rename="camel"):
    """A task that has not ended."""

    id: str
    task: str
    state: str
    org_id: str
    done: int
    total: int | None
    failed_attempts: int


class RemoteActiveTasks(msgspec.Struct, rename="camel"):
    """The tasks that have not ended."""

    running: RemoteCount
    queued: RemoteCount
    paused: RemoteCount
    first: list[RemoteActiveTask]


class RemoteNode(msgspec.Struct, rename="camel"):
    """A running node."""

    name: str
    release: str | None
    heartbeat_age_seconds: int | None


class RemoteDatabase(msgspec.Struct, rename="camel"):
    """The database."""

    product: str
    version: str
    bytes: int
    free_bytes: int
    partitions: int


class RemoteTenant(msgspec.Struct, rename="camel"):
    """An organization with outstanding deliveries."""

    org_id: str
    outstanding: int


class RemoteInstallation(msgspec.Struct, rename="camel"):
    """What spans organizations."""

    nodes: list[RemoteNode]
    database: RemoteDatabase
    tenants: list[RemoteTenant]
    tenants_of: int


class RemoteStatus(msgspec.Struct, rename="camel"):
    """The status as the server returns it."""

    healthy: bool
    verdict: str
    timestamp: str
    deliveries: RemoteDepth
    oldest_overdue: RemoteOldest | None
    endpoints: RemoteEndpoints
    tasks: RemoteActiveTasks
    installation: RemoteInstallation | None


_status: Final = msgspec.json.Decoder(RemoteStatus)


def status(
    *,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
    as_json: JsonOption = False,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Show outstanding deliveries and endpoints that need attention.

    Exits with 0 if the service is healthy, with 1 if something needs attention, with 2 if the status cannot be read.
    With --db or --config it is read from the database: everything, without a token. A SQLite file can be read only
    while the service is stopped.
    """
    if db is None and config is None:
        body = Remote(url, token).get("/api/v1/status")
    else:
        from tidings.cli import direct_status  # noqa: PLC0415 - slow to import, and unused by other commands

        body = direct_status.read(load(file=config, db_dsn=db))
    found = _status.decode(body)
    if as_json:
        typer.echo(body)
    else:
        _print(found)
    raise typer.Exit(0 if found.healthy else 1)


def _print(found: RemoteStatus) -> None:
    typer.echo(found.verdict)
    typer.echo()
    for name, text in _lines(found):
        typer.echo(f"{name:<{_WIDTH}}{text}")
    now = datetime.fromisoformat(found.timestamp)
    _print_table(
        "Endpoints that need attention, the longest failing first",
        ("endpoint", "health", "for", "last response", "host", "application", "organization"),
        [_endpoint_row(each, now) for each in found.endpoints.worst],
    )
    _print_table(
        "Tasks that have not ended",
        ("task", "kind", "state", "progress", "failed attempts", "organization"),
        [_task_row(each) for each in found.tasks.first],
    )
    if found.installation is not None:
        _print_installation(found.installation)


def _print_installation(found: RemoteInstallation) -> None:
    _print_table("Nodes", ("node", "release", "last heartbeat"), [_node_row(each) for each in found.nodes])
    rows = [[each.org_id, f"{each.outstanding:,}"] for each in found.tenants]
    title = f"Organizations with the most deliveries, among the {found.tenants_of:,} that are due first"
    _print_table(title, ("organization", "deliveries"), rows)


def _lines(found: RemoteStatus) -> list[tuple[str, str]]:
    depth, endpoints, tasks, oldest = found.deliveries, found.endpoints, found.tasks, found.oldest_overdue
    outstanding = f"{depth.scheduled.text} scheduled, {depth.in_flight.text} in flight, {depth.overdue.text} overdue"
    health = f"{endpoints.healthy.text} healthy, {endpoints.failing.text} failing, {endpoints.unreachable.text}"
    lines = [("deliveries", outstanding)]
    if depth.held_back.count:
        lines.append(("", f"{depth.held_back.text} of the overdue ones are held back by their endpoints"))
    if oldest is None:
        lines.append(("oldest", "no delivery is overdue"))
    else:
        lines.append(("oldest", f"overdue for {_age(oldest.age_seconds)}"))
        lines.append(("", f"{oldest.endpoint_id} of {oldest.app_id}"))
    lines.append(("endpoints", f"{health} unreachable, {endpoints.disabled.text} disabled"))
    lines.append(("tasks", f"{tasks.running.text} running, {tasks.queued.text} queued, {tasks.paused.text} paused"))
    if found.installation is not None:
        lines.append(("database", _database_text(found.installation.database)))
    return lines


def _database_text(database: RemoteDatabase) -> str:
    text = f"{database.product} {database.version}, {_size(database.bytes)}"
    if database.free_bytes:
        text += f" ({_size(database.free_bytes)} free for new rows)"
    return f"{text}, {database.partitions} weekly partitions" if database.partitions else text


def _endpoint_row(endpoint: RemoteUnhealthy, now: datetime) -> list[str]:
    code = endpoint.last_response_status_code
    return [
        endpoint.endpoint_id,
        "unreachable" if endpoint.is_unreachable else endpoint.status,
        _age(int((now - datetime.fromisoformat(endpoint.since)).total_seconds())),
        {None: "", 0: "none"}.get(code, str(code)),
        endpoint.host,
        f"{endpoint.app_name} ({endpoint.app_id})",
        endpoint.org_id,
    ]


def _task_row(task: RemoteActiveTask) -> list[str]:
    progress = f"{task.done:,}" if task.total is None else f"{task.done:,}/{task.total:,}"
    return [task.id, task.task, task.state, progress, str(task.failed_attempts), task.org_id]


def _node_row(node: RemoteNode) -> list[str]:
    age = node.heartbeat_age_seconds
    return [node.name, node.release or "", "none" if age is None else f"{_age(age)} ago"]


def _print_table(title: str, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """Print rows for the output: a table, or paragraphs on a narrow terminal, or else tab-separated fields.

    Ids are never cut, because people copy them.
    """
    console = Console()
    rows = [[_printable(field) for field in row] for row in rows]
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join((columns[0], *row)))
        return
    if not rows:
        return
    typer.echo(f"\n{title}:")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))  # plain text, without rich markup
    widths = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    if sum(widths) + _GAP * len(widths) <= console.width:
        console.print(table)
        return
    for row in rows:
        details = [f"{name}: {value}" for name, value in zip(columns[1:], row[1:], strict=True) if value]
        typer.echo(f"  {row[0]}")
        typer.echo(_filled(details, console.width))


def _printable(text: str) -> str:
    """Return a name of a caller without control characters, which could change the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _filled(details: list[str], width: int) -> str:
    """Return the details in lines that are as long as the width allows, each whole if it fits into a line."""
    lines: list[str] = []
    for detail in details:
        if lines and len(lines[-1]) + len(detail) + 2 < width:
            lines[-1] += f", {detail}"
        else:
            lines.append(f"    {detail}")
    return "\n".join(lines)


def _age(seconds: int) -> str:
    """Return a duration in its largest unit, like the verdict: `45 s`, `4 min`, `3 h`, `2 d`."""
    for unit, size in _AGES:
        if seconds >= 2 * size or (unit != "d" and seconds >= size):
            return f"{seconds // size} {unit}"
    return f"{max(0, seconds)} s"


def _size(count: int) -> str:
    for unit, size in _DATABASE_UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
