# SPDX-License-Identifier: MIT
"""`make bench`: loopback traffic only, bounded in time; exit code 1 if the message counts disagree."""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from bench import idle, lists, machine, message_path, pages, recover, report
from bench.databases import KINDS, Measured, fresh
from bench.interpreters import Interpreter, Unusable, prepared
from bench.measures import EVERYTHING, MEASURES, NOTES, Asked
from bench.message_path import Shape
from bench.programs import build

MOST_SECONDS = 3000
MOST_RATE = 100_000
MOST_BODY = 200_000
SHAPE = [each.name for each in fields(Shape)]
MOST_CONNECTIONS = 4096
MOST_RECOVERED = 1_000_000
CANNOT = 2


def main() -> int:
    """Run the measurements that the arguments select."""
    asked = _arguments()
    try:
        asked.interpreters = prepared(asked.python or os.environ.get("PYTHON", "").split())
    except Unusable as error:
        print(error, file=sys.stderr)
        return CANNOT
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
        except message_path.Unequal as error:
            print(f"the counts do not agree, so nothing measured here counts: {error}", file=sys.stderr)
            return 1
    if asked.json:
        print(json.dumps(told, indent=2))
    return 0


def _measured(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    command = shlex.join(["make", "bench"] + ([f"ARGS={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else []))
    builds = ", ".join(each.build for each in asked.interpreters)
    told: dict[str, Any] = {"machine": {**machine.described(folder), "python": builds}, "command": command}
    say = _silent if asked.json else _say
    say(report.of_machine(told["machine"], command, markdown=asked.markdown))
    if asked.idle:
        told["idle"] = _each(asked, folder, lambda database: idle.measure(folder, database, asked.seconds or 10))
        say(report.of_idle(told["idle"]))
    elif asked.lists:
        told["lists"] = _each(asked, folder, lambda database: lists.measure(folder, database, asked.lists))
        say(report.of_lists(told["lists"]))
    elif asked.pages:
        told["pages"] = _each(asked, folder, lambda database: pages.measure(folder, database, asked.pages))
        say(report.of_pages(told["pages"]))
    elif asked.recover:
        told["recover"] = _each(asked, folder, lambda database: recover.measure(folder, database, asked.recover))
        say(report.of_recover(told["recover"]))
    else:
        told["measures"] = _path(asked, folder, say)
    return told


def _path(asked: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure the message path; print each table when it is complete, and a summary at the end."""
    given = {name: value for name in SHAPE if (value := getattr(asked, name)) is not None}
    if asked.all:
        wanted = [replace(each, given=each.given | given, runs=asked.runs or each.runs) for each in EVERYTHING]
    else:
        wanted = [Asked("", MEASURES[asked.measure], asked.runs or 1, given)]
    told, rows = [], []
    for each in wanted:
        runs = _runs(asked, each, folder)
        rows.append((each.title, each.wanted, runs))
        told.append({"title": each.title, "command": each.command, "shape": asdict(each.shape), "runs": runs})
        if asked.all:
            say(f"\n### {each.title}\n\n`{each.command}`\n" if asked.markdown else f"\n{each.title}: {each.command}")
        say(report.of_measure(each.measure.columns, runs, markdown=asked.markdown))
    say(f"\n{NOTES}")
    for kind, said in {run["database"]: run["durability"] for run in runs}.items():
        say(f"{kind}: {', '.join(f'{name} {value}' for name, value in said.items())}.")
    if asked.all:
        say("\n" + report.of_everything(rows, markdown=asked.markdown))
    return told


def _runs(asked: argparse.Namespace, wanted: Asked, folder: Path) -> list[dict[str, Any]]:
    """Measure each subject in turn, `--runs` times, so that other load on the machine affects all of them."""
    shape, runs = wanted.shape, []
    for number in range(wanted.runs):
        for label, kind, interpreter in _subjects(asked):
            print(f"... {wanted.title} {label}, run {number + 1} of {wanted.runs}", file=sys.stderr, flush=True)
            with fresh(kind, folder, slow_disk=shape.slow_disk, interpreter=interpreter) as database:
                began = time.monotonic()
                figures = wanted.measure.run(folder, database, shape)
                lasted = time.monotonic() - began
                durability = database.durability()
            runs.append({"database": label, "durability": durability, "lasted": lasted, "figures": figures})
    return runs


def _each(
    asked: argparse.Namespace, folder: Path, measure: Callable[[Measured], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Run another measurement on each subject in turn."""
    figures = []
    for number in range(asked.runs or 1):
        for label, kind, interpreter in _subjects(asked):
            print(f"... {label}, run {number + 1} of {asked.runs or 1}", file=sys.stderr, flush=True)
            with fresh(kind, folder, vacuum=not asked.idle, interpreter=interpreter) as database:
                figures.append({**measure(database), "database": label})
    return figures


def _subjects(asked: argparse.Namespace) -> list[tuple[str, str, Interpreter]]:
    """Return what to measure: each database under each interpreter, with a name that tells them apart."""
    kinds = [asked.database] if asked.database else KINDS
    several = len(asked.interpreters) > 1
    return [(f"{kind}, {each.build}" if several else kind, kind, each) for kind in kinds for each in asked.interpreters]


def _say(text: str) -> None:
    print(text, flush=True)


def _silent(_: str) -> None:
    """Print nothing."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        epilog="\n".join(["measures:", *(f"  {each.name:20} {each.told}" for each in MEASURES.values())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "measure", nargs="?", choices=MEASURES, default="path", metavar="MEASURE", help="see below (path)"
    )
    parser.add_argument("--all", action="store_true", help="measure everything below, with a table at the end")
    parser.add_argument("--database", choices=KINDS, help="measure on this one only")
    parser.add_argument("--runs", type=_between(1, 20), help="of each measurement, the databases in turn")
    parser.add_argument(
        "--python", action="append", metavar="NAME", help="that runs the service, in turn with others (.venv's)"
    )
    parser.add_argument("--seconds", type=_between(1, MOST_SECONDS), help="that count, in each part (10)")
    parser.add_argument("--warm-up", type=_between(0, MOST_SECONDS), help="seconds before that (3)")
    parser.add_argument("--connections", type=_between(1, MOST_CONNECTIONS), help="of the sender (256)")
    parser.add_argument("--endpoints", type=int, choices=(0, 1, 3, 100), help="that get each message (1)")
    parser.add_argument("--rate", type=_between(0, MOST_RATE), help="messages a second where a rate is kept")
    parser.add_argument("--body", type=_between(0, MOST_BODY), help="bytes of a message at least (330)")
    parser.add_argument("--batch", type=_between(1, 1000), help="messages in a request (1)")
    parser.add_argument("--workers", type=_between(1, 64), help="processes of the service, on PostgreSQL (1)")
    parser.add_argument(
        "--count", type=_between(1, MOST_RECOVERED), help="of endpoints, due messages, events or starts"
    )
    parser.add_argument(
        "--slow-disk", type=_between(0, 1_000_000), metavar="US", help="more for each wait for the disk"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="write the figures as JSON")
    shown.add_argument("--markdown", action="store_true", help="write tables in Markdown")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--recover", type=_between(1, MOST_RECOVERED), metavar="N", help="recover N failed messages")
    instead.add_argument(
        "--lists",
        type=_between(1, MOST_RECOVERED),
        metavar="N",
        help="ask for lists over N messages, ten attempts each",
    )
    instead.add_argument(
        "--pages",
        type=_between(1, MOST_RECOVERED),
        metavar="N",
        help="open each page of portal and console over N messages and 10,000 applications",
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
