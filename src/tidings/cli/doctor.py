# SPDX-License-Identifier: MIT
"""`tidings doctor`: checks the settings, the machine, the network and the database, one line for each check."""

import asyncio
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
import typer

from tidings.cli.serve import ConfigFile, DatabaseUrl, Listen
from tidings.config import load, origins, without_effect
from tidings.model.diagnosis import CheckLevel, CheckResult, failed, ok, warning
from tidings.settings import ConfigError, Settings

_LEVEL_WIDTH: Final = 9
_NAME_WIDTH: Final = 22
_COLORS: Final = {CheckLevel.OK: "green", CheckLevel.WARNING: "yellow", CheckLevel.FAILED: "red"}


def doctor(
    *,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="Say where messages to this endpoint would go; none is sent."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    listen: Listen = None,
    db: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Check the settings, the machine, the network and the database.

    Exits with 0 if no check failed, also with warnings, and with 1 if one failed. It changes nothing, and takes at most
    two minutes.
    """
    results: list[CheckResult] = []

    def report(result: CheckResult) -> None:
        results.append(result)
        if not as_json:
            _print(result)

    try:
        settings = load(file=config, listen_address=listen, db_dsn=db)
    except ConfigError as error:
        report(failed("configuration", str(error), "correct the setting; the other checks need it"))
    else:
        given = sum(source != "default" for source in origins(file=config, listen_address=listen, db_dsn=db).values())
        text = f"valid, {given} setting{'' if given == 1 else 's'} given; `tidings config` lists them"
        report(ok("configuration", text))
        for variable, why in without_effect().items():
            report(warning("configuration", f"{variable} has no effect: {why}", "remove it, or correct its name"))
        asyncio.run(_examine(settings, endpoint, report))
    if as_json:
        typer.echo(msgspec.json.encode([_fields(each) for each in results]))
    else:
        _print_totals(results)
    raise typer.Exit(1 if any(each.level is CheckLevel.FAILED for each in results) else 0)


async def _examine(settings: Settings, endpoint: str | None, report: Callable[[CheckResult], None]) -> None:
    from tidings.server.doctor import examine  # noqa: PLC0415 - slow to import, and unused by other commands

    async for result in examine(settings, endpoint=endpoint):
        report(result)


def _fields(result: CheckResult) -> dict[str, str]:
    return {"check": result.name, "level": result.level.value, "found": result.found, "remedy": result.remedy}


def _print(result: CheckResult) -> None:
    """Print one line; on a terminal it is broken at its width."""
    text = result.found if not result.remedy else f"{result.found}; {result.remedy}"
    text = "".join(character if character.isprintable() else " " for character in text)
    level = typer.style(f"{result.level.value:<{_LEVEL_WIDTH}}", fg=_COLORS[result.level])
    indent = _LEVEL_WIDTH + _NAME_WIDTH
    if sys.stdout.isatty():
        room = max(20, shutil.get_terminal_size().columns - indent)
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
        text = f"\n{' ' * indent}".join(lines)
    typer.echo(f"{level}{result.name:<{_NAME_WIDTH}}{text}")


def _print_totals(results: list[CheckResult]) -> None:
    found = Counter(each.level for each in results)
    words = ", ".join(f"{found[level]} {level.value}" for level in CheckLevel)
    typer.echo(f"\n{len(results)} checks: {words}.")
