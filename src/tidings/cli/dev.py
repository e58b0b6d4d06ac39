# SPDX-License-Identifier: MIT
"""`tidings dev`: the service for one developer, with a console that is signed in, a sample application and an inbox."""

from typing import Annotated, Final

import typer

from tidings.config import has_colors
from tidings.process import loop
from tidings.process.reports import start_log
from tidings.process.stopping import leave_within

_LEAVE_SECONDS: Final = 0.5


def dev(
    *,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS:PORT", help="Address and port on this machine.")
    ] = "127.0.0.1:8071",
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Delete all data at the end, in place of keeping it in .tidings-dev.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the console in a browser.")] = False,
) -> None:
    """Run the service for one developer: a sample application, an inbox that can fail, and the console, signed in.

    It reads no settings from variables or files, and nothing outside this machine can reach it.
    """
    from tidings.dev import folder, run, terminal  # noqa: PLC0415 - slow to import, and unused by other commands

    with folder.opened(ephemeral=ephemeral) as opened:
        settings = run.settings_of(opened, listen)
        start_log(settings, None, colored=has_colors())
        loop.run(run.run(settings, opened, terminal.Terminal(opened), open_browser=open_browser))
    leave_within(_LEAVE_SECONDS)
