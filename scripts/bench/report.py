# SPDX-License-Identifier: MIT
"""The report: figures as text and tables."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

Figures = dict[str, Any]
Column = tuple[str, str]
Told = tuple[str, Column, Sequence[Figures]]
"""A title; a target and the figure to compare with it; the runs."""


def of_machine(described: dict[str, str], command: str, *, markdown: bool = False) -> str:
    """Return a description of the machine and the command."""
    if markdown:
        return f"{', '.join(f'{name} {value}' for name, value in described.items())}\n\n    {command}\n"
    width = max(map(len, described))
    return "\n".join([f"  {name:{width}}  {value}" for name, value in described.items()] + [f"  $ {command}"])


def of_measure(columns: Sequence[Column], runs: Sequence[Figures], *, markdown: bool) -> str:
    """Return a table with one row per run and, for a database with several runs, a row of medians."""
    rows: list[Sequence[str]] = [("database", *(title for title, _ in columns))]
    for kind in dict.fromkeys(run["database"] for run in runs):
        mine = [run["figures"] for run in runs if run["database"] == kind]
        rows += [(kind, *_cells(columns, each)) for each in mine]
        if len(mine) > 1:
            rows.append((f"**{kind}, median**" if markdown else "  median", *_cells(columns, medians(mine))))
    return "\n".join(_markdown(rows) if markdown else _table(rows))


def of_everything(told: Sequence[Told], *, markdown: bool) -> str:
    """Return a table of each measurement's key figures: medians, one column per database."""
    kinds = list(dict.fromkeys(run["database"] for _, _, runs in told for run in runs))
    rows: list[Sequence[str]] = [("what", "target", *kinds)]
    for title, (target, shown), runs in told:
        cells = [shown.format(**medians([run["figures"] for run in runs if run["database"] == kind])) for kind in kinds]
        rows.append((title, target, *cells))
    return "\n".join(_markdown(rows) if markdown else _table(rows))


def medians(runs: Sequence[Figures]) -> Figures:
    """Return the median of each figure."""
    return {name: statistics.median(each[name] for each in runs) for name in runs[0]}


def _cells(columns: Sequence[Column], figures: Figures) -> tuple[str, ...]:
    return tuple(shown.format(**figures) for _, shown in columns)


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *rest = ("| " + " | ".join(row) + " |" for row in rows)
    return [head, "|" + "---|" * len(rows[0]), *rest]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with aligned columns: the first column to the left, numbers to the right."""
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


def of_lists(runs: Sequence[Figures]) -> str:
    """Return a Markdown table: a row for each list; for each database its CPU time and latency in milliseconds.

    With several runs on a database, the table shows the median of each figure. The slowest rows are those with a
    target; the others follow them.
    """
    kinds = list(dict.fromkeys(run["database"] for run in runs))
    rows: list[Sequence[str]] = [("list", *(f"{kind}, {part}" for kind in kinds for part in ("CPU ms", "p50", "p99")))]
    figures = _of_each(runs, kinds, "lists")
    rows += [_row(name, found) for name, found in figures.items()]
    rows.append(_row("**the slowest**", [max(column) for column in zip(*figures.values(), strict=True)]))
    rows += [_row(f"without a bound: {name}", found) for name, found in _of_each(runs, kinds, "far").items()]
    sizes = {f"{run['messages']:,} messages, {run['attempts']:,} attempts" for run in runs}
    return "\n".join([*sorted(sizes), "", *_markdown(rows), ""])


def of_pages(runs: Sequence[Figures]) -> str:
    """Return a Markdown table: a row for each page; its size, and for each database its CPU time and latency in ms."""
    kinds = list(dict.fromkeys(run["database"] for run in runs))
    parts = ("CPU ms", "p50", "p99")
    rows: list[Sequence[str]] = [("page", "KB", *(f"{kind}, {part}" for kind in kinds for part in parts))]
    sizes = {each["page"]: each["bytes"] for run in runs for each in run["pages"]}
    for name, found in _of_each(runs, kinds, "pages", "page").items():
        rows.append((name, f"{sizes[name] / 1_000:.0f}", *(f"{figure:.1f}" for figure in found)))
    seen = {f"{run['messages']:,} messages, {run['endpoints']:,} endpoints" for run in runs}
    return "\n".join([*sorted(seen), "", *_markdown(rows), ""])


def _of_each(runs: Sequence[Figures], kinds: Sequence[str], which: str, name: str = "list") -> dict[str, list[float]]:
    """Return the CPU time and latency of each list or page of a group, database by database."""
    parts = ("cpu_ms", "p50_ms", "p99_ms")
    figures: dict[str, list[float]] = {}
    for kind in kinds:
        for same in zip(*(run[which] for run in runs if run["database"] == kind), strict=True):
            told = medians([{part: each[part] for part in parts} for each in same])
            figures.setdefault(same[0][name], []).extend(told[part] for part in parts)
    return figures


def _row(name: str, figures: Sequence[float]) -> Sequence[str]:
    return name, *(f"{figure:.1f}" for figure in figures)
