# SPDX-License-Identifier: MIT
"""The output of the demo: colors and a live progress bar in a terminal, plain lines elsewhere."""

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
    """A progress bar."""

    def update(self, done: int, total: int, label: str) -> None:
        """Show the progress and a label beside it."""
        ...

    def stop(self) -> None:
        """Show the latest progress, because something else happens now."""
        ...


@dataclass
class _LiveBar:
    progress: Progress
    bar: TaskID

    def update(self, done: int, total: int, label: str) -> None:
        self.progress.update(self.bar, completed=done, total=total or None, label=label)

    def stop(self) -> None:
        """Leave the bar as it is: it shows the latest progress."""


@dataclass
class _PlainBar:
    """Prints a line for every tenth of the progress, and the latest progress when it stops."""

    narrator: "Narrator"
    tenth: int = -1
    printed: str = ""
    latest: str = ""

    def update(self, done: int, total: int, label: str) -> None:
        tenth = 0 if not total else done * _PLAIN_STEP // total
        self.latest = f"{done:,} of {total:,}  {label}"
        if tenth > self.tenth or done == total:
            self.tenth = tenth
            self.stop()

    def stop(self) -> None:
        if self.latest != self.printed:
            self.printed = self.latest
            self.narrator.line(self.latest)


@dataclass
class Narrator:
    """Prints the numbered steps of the demo."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    _step: int = 0

    def step(self, text: str) -> None:
        """Print the title of the next step."""
        self._step += 1
        self.console.print(f"[bold cyan]{self._step}[/]  [bold]{escape(text)}[/]", soft_wrap=True)

    def line(self, text: str, style: str = "") -> None:
        """Print a line within the step."""
        self.console.print(f"   {escape(text)}", style=style, soft_wrap=True)

    @contextmanager
    def bar(self, name: str) -> Iterator[Bar]:
        """Show a progress bar during a block; lines printed meanwhile appear above it."""
        if not self.console.is_terminal:
            yield _PlainBar(self)
            return
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[label]}"),
        )
        with Progress(*columns, TimeElapsedColumn(), console=self.console, refresh_per_second=20) as progress:
            yield _LiveBar(progress, progress.add_task(name, total=None, label=""))

    def table(self, rows: list[tuple[str, int, str]]) -> None:
        """Print the result: per row a name, a number and the source of the number."""
        table = Table("", "messages", "counted from")
        table.columns[1].justify = "right"
        for name, number, source in rows:
            table.add_row(name, f"{number:,}", source)
        self.console.print(table)

    def duplicates(self, found: dict[str, int]) -> None:
        """List the messages that were delivered more than once, and explain the reason."""
        if not found:
            return
        self.line(
            f"{len(found)} were delivered twice: they were in flight when the service was killed. The receiver had"
        )
        self.line("responded, but the service could not record it and sent them again: at least once, never lost.")
        for msg_id in list(found)[:_DUPLICATES_SHOWN]:
            self.line(f"  {msg_id}")
        if len(found) > _DUPLICATES_SHOWN:
            self.line(f"  and {len(found) - _DUPLICATES_SHOWN} more; receivers detect duplicates by the svix-id header")
