# SPDX-License-Identifier: MIT
"""Charts as inline SVG: drawn on the server, colored by the stylesheet, with a text for screen readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

_HEIGHT: Final = 100


@dataclass(frozen=True, slots=True)
class ChartBar:
    """One bar: its label, and the two parts that are stacked."""

    label: str
    good: int
    bad: int = 0


def bars(data: Sequence[ChartBar], summary: str, *, good: str = "delivered", bad: str = "failed") -> Markup:
    """Return a chart of stacked bars; `summary` is its text for screen readers."""
    top = max((bar.good + bar.bad for bar in data), default=0) or 1
    width = 10
    parts = []
    for place, bar in enumerate(data):
        tall, fail = (round(value / top * _HEIGHT, 2) for value in (bar.good + bar.bad, bar.bad))
        tall = max(tall, 1.5) if bar.good + bar.bad else 0
        fail = max(fail, 1.5) if bar.bad else 0
        label = f"{bar.label}: {bar.good:,} {good}" + (f", {bar.bad:,} {bad}" if bar.bad else "")
        parts.append(
            Markup(
                '<g><title>{}</title><rect class="hit" x="{}" y="0" width="{}" height="{}"/>'
                '<rect class="good" x="{}" y="{}" width="8" height="{}" rx="1"/>'
                '<rect class="bad" x="{}" y="{}" width="8" height="{}" rx="1"/></g>'
            ).format(
                label,
                place * width,
                width,
                _HEIGHT,
                place * width + 1,
                round(_HEIGHT - tall, 2),
                round(tall - fail, 2),
                place * width + 1,
                round(_HEIGHT - fail, 2),
                fail,
            )
        )
    return Markup(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(max(len(data), 1) * width, _HEIGHT, summary, Markup("").join(parts))


def spark(data: Sequence[ChartBar], summary: str) -> Markup:
    """Return a small chart of stacked bars, without labels; `summary` is its text for screen readers."""
    top = max((bar.good + bar.bad for bar in data), default=0) or 1
    good, bad = [], []
    for place, bar in enumerate(data):
        left, tall = place * 4 + 2, round((bar.good + bar.bad) / top * _HEIGHT)
        fail = max(round(bar.bad / top * _HEIGHT), 6) if bar.bad else 0
        if bar.good:
            good.append(f"M{left} {_HEIGHT - fail}V{min(_HEIGHT - tall, _HEIGHT - fail - 6)}")
        if bar.bad:
            bad.append(f"M{left} {_HEIGHT}V{_HEIGHT - fail}")
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="base" d="M0 {}H{}"/><path class="good" d="{}"/><path class="bad" d="{}"/></svg>'
    ).format(len(data) * 4, _HEIGHT, summary, _HEIGHT, len(data) * 4, "".join(good), "".join(bad))


def line(values: Sequence[float | None], summary: str, *, least: float = 0.0) -> Markup:
    """Return a line chart; None leaves a gap."""
    known = [value for value in values if value is not None]
    top = max([*known, least]) or 1
    step = 100 / max(len(values) - 1, 1)
    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{place * step:.2f},{_HEIGHT - value / top * (_HEIGHT - 4) - 2:.2f}")
    lines = Markup("").join(Markup('<polyline points="{}"/>').format(" ".join(run)) for run in runs if run)
    return Markup(
        '<svg class="line" viewBox="0 0 100 {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(_HEIGHT, summary, lines)
