# SPDX-License-Identifier: MIT
"""How the demo tells its story: with colours and a live bar in a terminal, in plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_PLAIN_STEP: Final = 10
_DUPLICATES_SHOWN: Final = 5


class Bar(Protocol):
    """Shows how far something is."""

    def show(self, done: int, total: int, says: str) -> None:
        """Show it as it is now."""
        ...


@dataclass
class _LiveBar:
    progress: Progress
    bar: TaskID

    def show(self, done: int, total: int, says: str) -> None:
        self.progress.update(self.bar, completed=done, total=total or None, says=says)


@dataclass
class _PlainBar:
    """A line for every tenth of the way."""

    tell: "Teller"
    shown: int = -1
    said: str = ""

    def show(self, done: int, total: int, says: str) -> None:
        tenth = 0 if not total else done * _PLAIN_STEP // total
        if tenth > self.shown or (done == total and says != self.said):
            self.shown, self.said = tenth, says
            self.tell.line(f"{done:,} of {total:,}  {says}")


@dataclass
class Teller:
    """Numbers the steps and prints them."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    _step: int = 0

    def step(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self.console.print(f"[bold cyan]{self._step}[/]  [bold]{escape(text)}[/]", soft_wrap=True)

    def line(self, text: str, style: str = "") -> None:
        """Tell something within a step."""
        self.console.print(f"   {escape(text)}", style=style, soft_wrap=True)

    @contextmanager
    def bar(self, name: str) -> Iterator[Bar]:
        """Show a bar for the length of a block; what is told meanwhile stands above it."""
        if not self.console.is_terminal:
            yield _PlainBar(self)
            return
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[says]}"),
        )
        with Progress(*columns, TimeElapsedColumn(), console=self.console, refresh_per_second=20) as progress:
            yield _LiveBar(progress, progress.add_task(name, total=None, says=""))

    def table(self, rows: list[tuple[str, int, str]]) -> None:
        """Print what came of it: a name, a number and where the number is from."""
        table = Table("", "messages", "counted from")
        table.columns[1].justify = "right"
        for name, number, source in rows:
            table.add_row(name, f"{number:,}", source)
        self.console.print(table)

    def duplicates(self, found: dict[str, int]) -> None:
        """List what came more than once, and say why."""
        if not found:
            return
        self.line(
            f"{len(found)} came twice: they were on their way at the moment of the kill. The receiver had answered,"
        )
        self.line("the service died before it had written that down, so it sent them again: at least once, never lost.")
        for msg_id in list(found)[:_DUPLICATES_SHOWN]:
            self.line(f"  {msg_id}")
        if len(found) > _DUPLICATES_SHOWN:
            self.line(f"  and {len(found) - _DUPLICATES_SHOWN} more; a receiver tells them apart by their svix-id")
