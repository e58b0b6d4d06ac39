# SPDX-License-Identifier: MIT
"""`tidings tasks run`: start a task of any kind, or estimate it in a dry run.

The commands are built from the kinds when the first one is used: the kinds load as many modules as a server does.
"""

import typer
from typer.core import TyperCommand, TyperGroup

from tidings.cli.flags import hide_types_of_flags


class _Kinds(TyperGroup):
    """The group of these commands."""

    def list_commands(self, ctx: object) -> list[str]:
        """Return the names of the commands."""
        del ctx
        self._build()
        return list(self.commands)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | None:
        """Return a command by its name."""
        del ctx
        self._build()
        found = self.commands.get(cmd_name)
        return found if isinstance(found, TyperCommand) else None

    def _build(self) -> None:
        if self.commands:
            return
        from tidings.cli.task_commands import commands  # noqa: PLC0415 - slow to import

        built = typer.Typer()
        for name, function in sorted(commands().items()):
            built.command(name)(function)
        group = typer.main.get_group(built)
        hide_types_of_flags(group)
        self.commands.update(group.commands)


app = typer.Typer(cls=_Kinds, help="Start a background task.", no_args_is_help=True)


@app.callback()
def options() -> None:
    """Declare that this is a group."""
