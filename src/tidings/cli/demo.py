# SPDX-License-Identifier: MIT
"""`tidings demo`: an end-to-end demonstration of the service."""

from typing import Annotated

import typer

from tidings.settings import ConfigError


def demo(
    *,
    messages: Annotated[
        int, typer.Option(metavar="N", min=100, max=20_000, help="Number of messages to send.")
    ] = 1_000,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the service running until Ctrl-C, and print how to open its console.")
    ] = False,
) -> None:
    """Deliver webhooks, break the receiver, and recover with a background task that survives a kill -9."""
    try:
        from tidings.demo.show import run  # noqa: PLC0415 - imports the official SDK, which only the demo needs
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tidings"):
            raise
        raise ConfigError("the demo needs the official SDK; install it with: pip install 'tidings[demo]'") from error

    raise typer.Exit(run(messages, keep=keep))
