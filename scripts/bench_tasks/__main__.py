# SPDX-License-Identifier: MIT
"""`make bench-tasks`: background tasks at full size, held to their targets; `ARGS="--scale 0.1"` for a tenth of it.

Each task is checked for exactness before its figure counts: if one is not exact, the exit code is 1. The commit
waits for the disk on both databases.
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from bench import machine
from bench.databases import KINDS, Measured, fresh
from bench.message_path import Unequal
from bench.programs import build
from bench_tasks import isolated, stored, with_traffic
from bench_tasks.seeded_database import Figures, Inexact, Receiver, SeededDatabase, set_up

CANNOT: Final = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a figure, its target, and remarks."""

    what: str
    found: float
    most: float
    unit: str
    more: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the line, without its database."""
        verdict = "met" if self.found < self.most else "**missed**"
        return self.what, _number(self.found, self.unit), f"< {self.most:g}{self.unit}", verdict, self.more


def _number(value: float, unit: str) -> str:
    return f"{value:.{1 if value >= 1 else 2}f}{unit}"


@dataclass(frozen=True, slots=True)
class Place:
    """The database of a group of measurements, and the fraction of the full size."""

    folder: Path
    database: Measured
    scale: float

    def of(self, whole: int, least: int = 2) -> int:
        """Return that fraction of a full size."""
        return max(least, int(whole * self.scale))


def million(place: Place, only: set[str]) -> Iterator[Line]:
    """Measure the tasks that visit a million messages, which are written once."""
    count = place.of(isolated.MESSAGES)
    steps = {
        "recover": isolated.recover,
        "bulk-replay": isolated.bulk_replay,
        "replay-missing": isolated.replay_missing,
    }
    receivers: list[Receiver] = []
    told: dict[str, Figures] = {}

    async def work(seeded: SeededDatabase) -> Figures:
        receivers.extend(await seeded.receivers(1))
        await seeded.messages(receivers[0], count)
        for name, step in steps.items():
            if name in only:
                told[name] = await step(seeded, receivers[0], count)
        return told

    uvloop.run(set_up(place.database.dsn, work))
    for name, found in told.items():
        more = f"{count / found['seconds']:,.0f} messages/s"
        yield Line(f"{name} of {count:,} messages, re-armed", found["seconds"], 20, " s", more)
        yield Line(f"{name}, growth of memory", found["rss_growth_mb"], 50, " MB")
    if "purge" in only:
        found = with_traffic.purge(place.folder, place.database, receivers[0], count)
        yield Line(f"purge of {count:,} payloads beside {with_traffic.RATE}/s", found["seconds"], 60, " s")
        more = f"{_waits(found, 'accept')}; {found['part']:.0%} of the time beside it"
        yield Line("purge, live accept p99 by its value alone", _ratio(found, "accept"), 3, "x", more)


def applications(place: Place, only: set[str]) -> Iterator[Line]:
    """Measure the tasks that visit ten thousand applications."""
    count, attempts = place.of(isolated.APPLICATIONS), place.of(isolated.ATTEMPTS, 1_000)
    steps = {"stats": isolated.app_stats, "broadcast": isolated.broadcast}
    told: dict[str, Figures] = {}

    async def work(seeded: SeededDatabase) -> Figures:
        every = await isolated.spread(seeded, count, attempts if "stats" in only else 1_000)
        for name, step in steps.items():
            if name in only:
                told[name] = await step(seeded, every)
        return told

    uvloop.run(set_up(place.database.dsn, work))
    if found := told.get("stats"):
        what = f"application.stats over {count:,} applications, {found['attempts']:,} attempts"
        yield Line(what, found["seconds"], 20, " s")
        yield Line("application.stats, growth of memory", found["rss_growth_mb"], 50, " MB")
    if found := told.get("broadcast"):
        yield Line(f"broadcast to {count:,} applications, committed", found["seconds"], 10, " s")


def recover_live(place: Place, only: set[str]) -> Iterator[Line]:
    """Measure a recovery with delivery, beside live messages."""
    del only
    count = place.of(with_traffic.RECOVERED)
    found = with_traffic.recover(place.folder, place.database, count)
    more = f"{_waits(found, 'receive')}; {found['part']:.0%} sent beside it, all in {found['seconds']:.0f} s"
    what = f"recover of {count:,} beside {with_traffic.RATE}/s, live accept to receive p99 by its value alone"
    yield Line(what, _ratio(found, "receive"), 3, "x", more)


def cancel(place: Place, only: set[str]) -> Iterator[Line]:
    """Measure recoveries that are canceled under load."""
    del only
    found = with_traffic.cancel(place.folder, place.database, place.of(with_traffic.CANCELLED, 2_000))
    more = f"{found['sent']:,} sent and {found['withdrawn']:,} withdrawn, all accounted for; longest answer"
    more = f"{more} {found['answer_ms']:.0f} ms"
    yield Line(f"{found['cancels']} cancels under load, rows written afterwards", 0, 1, "", more)


def lists(place: Place, only: set[str]) -> Iterator[Line]:
    """Measure lists of a million tasks, and the start latency of a new one."""
    del only
    count = place.of(stored.TASKS)
    found = stored.measure(place.folder, place.database, count)
    more = f"{found['lists']} lists; p50 {found['p50']:.1f} ms; the worst list's {found['worst_p99']:.1f} ms"
    yield Line(f"GET /background-task with {count:,} tasks, p99", found["p99"], 10, " ms", more)
    more = f"p50 {found['start_p50']:.0f} ms"
    yield Line("task created to running, p99", found["start_p99"], 100, " ms", more)


def _waits(found: Figures, what: str) -> str:
    waits = [f"{found[when][f'{what}_p99']:.1f}" for when in ("alone", "beside")]
    return f"{waits[0]} ms alone, {waits[1]} ms"


def _ratio(found: Figures, what: str) -> float:
    return float(found["beside"][f"{what}_p99"] / found["alone"][f"{what}_p99"])


Group = Callable[[Place, set[str]], Iterator[Line]]
GROUPS: Final[dict[Group, tuple[str, ...]]] = {
    million: ("recover", "bulk-replay", "replay-missing", "purge"),
    applications: ("stats", "broadcast"),
    recover_live: ("recover-live",),
    cancel: ("cancel",),
    lists: ("list",),
}
"""The measurements of each database, a fresh one per group, and the names that select the group."""
NAMES: Final = [name for names in GROUPS.values() for name in names]


def main() -> int:
    """Run the measurements that the arguments select, and print a table."""
    asked = _arguments()
    if sys.platform != "linux" or shutil.which("cc") is None:
        print("this measures on Linux only, and needs a C compiler (apt-get install gcc libc6-dev)", file=sys.stderr)
        return CANNOT
    with tempfile.TemporaryDirectory(prefix="tidings-bench-tasks-") as made:
        folder = Path(made)
        build(folder)
        command = shlex.join(["make", "bench-tasks"] + ([f"ARGS={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else []))
        print("\n".join(f"{name}: {value}" for name, value in machine.described(folder).items()))
        print(f"command: {command}\n")
        try:
            lines = [(kind, line) for kind in asked.databases for line in _measured(kind, folder, asked)]
        except (Inexact, Unequal) as error:
            print(f"not exact, so nothing measured here counts: {error}", file=sys.stderr)
            return 1
    print("| measure | database | found | target | | |\n|---|---|---|---|---|---|")
    for kind, line in lines:
        what, *rest = line.cells
        print(f"| {' | '.join((what, kind, *rest))} |")
    return 0


def _measured(kind: str, folder: Path, asked: argparse.Namespace) -> Iterator[Line]:
    for group, names in GROUPS.items():
        wanted = set(names) & set(asked.only)
        if not wanted:
            continue
        began = time.monotonic()
        with fresh(kind, folder) as database:
            for line in group(Place(folder, database, asked.scale), wanted):
                print(json.dumps({"database": kind, "line": line.cells}), file=sys.stderr, flush=True)
                yield line
        print(f"... {kind}: {', '.join(names)} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-tasks", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the full size (1)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="measure these only")
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=list(KINDS), help="on these only")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
