# SPDX-License-Identifier: MIT
"""The subcommands of `tidings`, and the output of errors."""

import sys
from typing import Annotated, Final, NoReturn

import msgspec
import typer

from tidings import __version__
from tidings.cli import (
    admin,
    backup,
    deliveries,
    demo,
    dev,
    doctor,
    environment,
    event_types,
    health,
    keys,
    listen,
    serve,
    status,
    task_control,
    task_run,
    tasks,
    token,
)
from tidings.cli.flags import hide_types_of_flags
from tidings.cli.interrupt import ending_at_once
from tidings.cli.remote import RemoteError
from tidings.logs import is_json, log
from tidings.settings import ConfigError
from tidings.storage.drivers.database import StorageError

_CANNOT: Final = 2

app: Final = typer.Typer(
    name="tidings",
    help="A self-hosted webhook service that implements the Svix API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("migrate")(serve.migrate)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("config")(admin.show_config)
app.add_typer(token.app, name="jwt")
app.add_typer(keys.app, name="keys")
app.add_typer(admin.keys, name="asymmetric-key")
app.command("wipe")(admin.wipe)
app.command("prune")(admin.prune)
app.command("backup")(backup.backup)


@app.command()
def healthcheck(url: Annotated[str, typer.Argument(metavar="URL", help="The server's URL.")]) -> None:
    """Exit with 0 if the server is healthy, with 1 otherwise."""
    raise typer.Exit(health.check(url))


tasks.app.command("cancel")(task_control.cancel)
tasks.app.command("pause")(task_control.pause)
tasks.app.command("resume")(task_control.resume)
tasks.app.command("retry")(task_control.retry)
tasks.app.command("items")(task_control.items)
tasks.app.add_typer(task_run.app, name="run")
app.add_typer(tasks.app, name="tasks")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(event_types.app, name="event-types")
app.add_typer(environment.app, name="environment")
app.command("dev")(dev.dev)
app.command("listen")(listen.listen)
app.command("demo")(demo.demo)


def _version(requested: bool) -> None:  # noqa: FBT001 - typer passes it by position
    if requested:
        typer.echo(f"tidings {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Declare the options of the command itself."""
    del version


def run() -> None:
    """Run the command line. An external error is printed as one line, without a traceback."""
    with ending_at_once():
        command = typer.main.get_command(app)
        hide_types_of_flags(command)
    try:
        command()
    except StorageError as error:  # the text of a driver may not mention the database
        _fail(f"the database: {error}")
    except (ConfigError, RemoteError) as error:
        _fail(str(error))
    except msgspec.MsgspecError:
        _fail("the response does not come from a tidings server; check --url")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}")


def _fail(text: str) -> NoReturn:
    """Print why the command ends, or log it if the log of this process is JSON."""
    if is_json():
        log.error("command.failed", "the command cannot run", error=text)
    else:
        typer.echo(f"tidings: {text}", err=True)
    sys.exit(_CANNOT)
