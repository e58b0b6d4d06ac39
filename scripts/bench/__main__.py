# SPDX-License-Identifier: MIT
"""`make bench`: nothing but loopback, bounded in time, and exit code 1 when the counts do not agree."""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import idle, lists, machine, path, recover, report
from bench.databases import KINDS, Measured, fresh
from bench.programs import build

MOST_SECONDS = 600
MOST_CONNECTIONS = 4096
MOST_RECOVERED = 1_000_000
CANNOT = 2


def main() -> int:
    """Measure what the arguments ask for."""
    asked = _arguments()
    if sys.platform != "linux":
        print("the benchmark measures on Linux only", file=sys.stderr)
        return CANNOT
    if shutil.which("cc") is None:
        print("the benchmark needs a C compiler, e.g. apt-get install gcc libc6-dev", file=sys.stderr)
        return CANNOT
    with tempfile.TemporaryDirectory(prefix="tidings-bench-") as made:
        folder = Path(made)
        build(folder)
        try:
            told = _measured(asked, folder)
        except path.Unequal as error:
            print(f"the counts do not agree, so nothing measured here counts: {error}", file=sys.stderr)
            return 1
    if asked.json:
        print(json.dumps(told, indent=2))
    return 0


def _measured(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    command = shlex.join(["make", "bench"] + ([f"ARGS={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else []))
    told: dict[str, Any] = {"machine": machine.described(folder), "command": command}
    say = _silent if asked.json else print
    say(report.of_machine(told["machine"], command))
    if asked.idle:
        told["idle"] = _each(asked, folder, lambda database: idle.measure(folder, database, asked.seconds))
        say(report.of_idle(told["idle"]))
    elif asked.lists:
        told["lists"] = _each(asked, folder, lambda database: lists.measure(folder, database, asked.lists))
        say(report.of_lists(told["lists"]))
    elif asked.recover:
        told["recover"] = _each(asked, folder, lambda database: recover.measure(folder, database, asked.recover))
        say(report.of_recover(told["recover"]))
    else:
        shape = path.Shape(
            seconds=asked.seconds,
            warm_up=asked.warm_up,
            connections=asked.connections,
            endpoints=asked.endpoints,
        )
        told["path"] = _each(asked, folder, lambda database: path.measure(folder, database, shape))
        say(report.of_path(told["path"]))
    return told


def _each(
    asked: argparse.Namespace, folder: Path, measure: Callable[[Measured], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Measure on each database in turn, as often as was asked: what the machine does meanwhile meets all alike."""
    kinds = [asked.database] if asked.database else KINDS
    figures = []
    for number in range(asked.runs):
        for kind in kinds:
            print(f"... {kind}, run {number + 1} of {asked.runs}", file=sys.stderr, flush=True)
            with fresh(kind, folder, vacuum=not asked.idle) as database:
                figures.append(measure(database))
    return figures


def _silent(_: str) -> None:
    """Say nothing."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, epilog="make bench ARGS='--seconds 20'")
    parser.add_argument("--database", choices=KINDS, help="measure on this one only")
    parser.add_argument("--seconds", type=_between(1, MOST_SECONDS), default=10, help="that count, in each part (10)")
    parser.add_argument("--warm-up", type=_between(0, MOST_SECONDS), default=3, help="seconds before that (3)")
    parser.add_argument("--connections", type=_between(1, MOST_CONNECTIONS), default=256, help="of the sender (256)")
    parser.add_argument("--endpoints", type=int, choices=(1, 3, 100), default=1, help="that get each message (1)")
    parser.add_argument(
        "--runs", type=_between(1, 20), default=1, help="of each measurement, the databases in turn (1)"
    )
    parser.add_argument("--json", action="store_true", help="write the figures as JSON")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--recover", type=_between(1, MOST_RECOVERED), metavar="N", help="recover N failed messages")
    instead.add_argument(
        "--lists",
        type=_between(1, MOST_RECOVERED),
        metavar="N",
        help="ask for lists over N messages, ten attempts each",
    )
    instead.add_argument("--idle", action="store_true", help="count what an idle service does")
    return parser.parse_args()


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())
