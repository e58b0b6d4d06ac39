# SPDX-License-Identifier: MIT
"""Figures as a person reads them."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

Figures = dict[str, Any]


def of_machine(described: dict[str, str], command: str) -> str:
    """Return what was measured on, and with which command."""
    width = max(map(len, described))
    return "\n".join([f"  {name:{width}}  {value}" for name, value in described.items()] + [f"  $ {command}"])


def of_path(runs: Sequence[Figures]) -> str:
    """Return a table of the message path: a row per run, then the median where there are several."""
    rows: list[Sequence[str]] = [HEAD]
    kinds = list(dict.fromkeys(run["database"] for run in runs))
    for kind in kinds:
        mine = [_flat(run) for run in runs if run["database"] == kind]
        rows += [_path_row(kind, each) for each in mine]
        if len(mine) > 1:
            rows.append(
                _path_row("  median", {name: statistics.median(each[name] for each in mine) for name in mine[0]})
            )
    lines = [*_table(rows), "", *NOTES]
    for kind in kinds:
        run = next(run for run in runs if run["database"] == kind)
        told = ", ".join(f"{name} {value}" for name, value in run["durability"].items())
        lines.append(f"  {kind}: {told}")
    return "\n".join(lines)


HEAD = (
    *("database", "msgs/s", "accepted/s", "app", "db", "sink", "load", "accept", "half load", "accept", "receive"),
    *("RSS MB", "others %", "calib ms"),
)
NOTES = (
    "  msgs/s: accepted, delivered and recorded at saturation. app, db, sink, load: ms of CPU for a message.",
    "  accept: from due to answered; receive: from due to the receiver having it; ms, p50/p99.",
    "  others: what else ran here, in parts of one core. calib: a fixed piece of work, before the run.",
)


def _flat(run: Figures) -> dict[str, float]:
    most, half = run["saturation"], run["half"]
    return {
        "complete": min(most["accepted_per_second"], most["delivered_per_second"]),
        "accepted": most["accepted_per_second"],
        **most["cpu_ms_per_message"],
        "accept50": most["accept_ms"]["p50"],
        "accept99": most["accept_ms"]["p99"],
        "rate": half["rate"],
        "half50": half["accept_ms"]["p50"],
        "half99": half["accept_ms"]["p99"],
        "receive50": half["accept_to_receive_ms"]["p50"],
        "receive99": half["accept_to_receive_ms"]["p99"],
        "rss": run["rss_mb"],
        "others": most["others_percent"],
        "calibration": run["calibration_ms"],
    }


def _path_row(name: str, flat: dict[str, float]) -> tuple[str, ...]:
    return (
        name,
        f"{flat['complete']:.0f}",
        f"{flat['accepted']:.0f}",
        *(f"{flat[each]:.3f}" for each in ("app", "database", "sink", "load")),
        f"{flat['accept50']:.1f}/{flat['accept99']:.1f}",
        f"{flat['rate']:.0f}/s",
        f"{flat['half50']:.1f}/{flat['half99']:.1f}",
        f"{flat['receive50']:.1f}/{flat['receive99']:.1f}",
        f"{flat['rss']:.0f}",
        f"{flat['others']:.0f}",
        f"{flat['calibration']:.0f}",
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines in columns as wide as what is in them, the first to the left and numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        f"  {row[0]:{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def of_recover(runs: Iterable[Figures]) -> str:
    """Return a line per recover."""
    return "\n".join(
        f"  {run['database']:11} {run['messages']} failed messages: all due again in {run['armed_seconds']:.1f} s,"
        f" all delivered in {run['delivered_seconds']:.1f} s, each once; RSS {run['rss_mb']:.0f} MB"
        for run in runs
    )


def of_idle(runs: Iterable[Figures]) -> str:
    """Return a line per idle service."""
    lines = []
    for run in runs:
        asked = (
            f"{run['transactions_per_second']:.2f} queries" if "transactions_per_second" in run else "no queries seen"
        )
        lines.append(
            f"  {run['database']:11} idle for {run['seconds']:.0f} s; per second: {asked},"
            f" {run['wake_ups_per_second']:.2f} wake-ups, {run['reads_and_writes_per_second']:.2f} reads and writes,"
            f" {run['cpu_ms_per_second']:.2f} ms CPU; RSS {run['rss_mb']:.0f} MB"
        )
    return "\n".join(lines)


def of_lists(runs: Iterable[Figures]) -> str:
    """Return a table per database: a row for each list."""
    lines = []
    for run in runs:
        rows = [("list", "bytes", "CPU ms", "p50 ms", "p99 ms")] + [
            (
                each["list"],
                str(each["bytes"]),
                f"{each['cpu_ms']:.1f}",
                f"{each['p50_ms']:.1f}",
                f"{each['p99_ms']:.1f}",
            )
            for each in run["lists"]
        ]
        lines.append(f"  {run['database']}: {run['messages']} messages, {run['attempts']} attempts")
        lines += [*_table(rows), ""]
    return "\n".join(lines)
