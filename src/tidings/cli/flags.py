# SPDX-License-Identifier: MIT
"""The help of flags."""

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption


def hide_types_of_flags(command: object) -> None:
    """Show no type beside a flag in the help: a flag takes no value."""
    if isinstance(command, TyperCommand | TyperGroup):
        for parameter in command.get_params(typer.Context(command)):
            if isinstance(parameter, TyperOption) and parameter.is_flag:
                parameter.metavar = ""
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            hide_types_of_flags(each)
