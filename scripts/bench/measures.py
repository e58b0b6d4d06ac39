# SPDX-License-Identifier: MIT
"""The measurements of `make bench` by name, and the default set."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import backlog, cold, message_path, relay, retention, transforming, unhealthy_endpoints
from bench.databases import Measured
from bench.message_path import Figures, Shape

Column = tuple[str, str]
"""A title, and a function that renders a cell from a run's figures."""

CPU: Final[tuple[Column, ...]] = (("app", "{app_ms:.3f}"), ("db", "{database_ms:.3f}"))
ENDS: Final[tuple[Column, ...]] = (("sink", "{sink_ms:.3f}"), ("load", "{load_ms:.3f}"))
ACCEPT: Final[Column] = ("accept ms", "{accept50:.1f}/{accept99:.1f}")
RECEIVE: Final[Column] = ("receive ms", "{receive50:.1f}/{receive99:.1f}")
MOST: Final[Column] = ("RSS MB", "{rss_most:.0f}")
MACHINE: Final[tuple[Column, ...]] = (("others %", "{others:.0f}"), ("calib ms", "{calibration:.0f}"))
SATURATED: Final[tuple[Column, ...]] = (
    ("msgs/s", "{complete:.0f}"),
    ("accepted/s", "{accepted:.0f}"),
    *(*CPU, *ENDS),
    *(ACCEPT, MOST),
    *MACHINE,
)
BESIDE: Final[tuple[Column, ...]] = (
    ("rate", "{rate:.0f}/s"),
    ("receive ms before", "{calm_receive50:.1f}/{calm_receive99:.1f}"),
    ("beside", "{receive50:.1f}/{receive99:.1f}"),
    ("p99 times", "{times:.2f}"),
    ("accept ms before", "{calm_accept50:.1f}/{calm_accept99:.1f}"),
    ("beside", "{accept50:.1f}/{accept99:.1f}"),
    ("app before", "{calm_app_ms:.3f}"),
    ("beside", "{app_ms:.3f}"),
    *(MOST, *MACHINE),
)
NOTES: Final = (
    "msgs/s: accepted, delivered and recorded. app, db, sink, load: ms of CPU for a message. accept: from due to"
    " answered; receive: from due to the receiver having it; ms, p50/p99. others: what else ran here, in parts of one"
    " core. calib: a fixed piece of work, before the run."
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement on a fresh database."""

    name: str
    told: str
    columns: tuple[Column, ...]
    run: Callable[[Path, Measured, Shape], Figures]
    usual: dict[str, Any] = field(default_factory=dict)
    """The defaults of its shape."""


_ALL: Final = (
    Measure(
        "path",
        "the message path: the most it takes, then its waits at half of that or at another rate",
        (
            *SATURATED[:-3],
            ("at", "{rate:.0f}/s"),
            ("accept ms", "{half_accept50:.1f}/{half_accept99:.1f}"),
            ("receive ms", "{half_receive50:.1f}/{half_receive99:.1f}"),
            *(MOST, *MACHINE),
        ),
        message_path.measure,
    ),
    Measure("most", "the most that the message path takes", SATURATED, message_path.measure, {"rate": 0}),
    Measure(
        "latency",
        "its waits at a steady rate",
        (("at", "{rate:.0f}/s"), ACCEPT, RECEIVE, ("unsent", "{unsent:.0f}"), *CPU, MOST, *MACHINE),
        message_path.steady,
    ),
    Measure(
        "fan-out",
        "the cost of a delivery of messages to 100 endpoints, until the last attempt is recorded",
        (
            ("deliveries", "{deliveries:.0f}"),
            ("per second", "{per_second:.0f}"),
            ("app", "{delivery_app_ms:.4f}"),
            ("db", "{delivery_database_ms:.4f}"),
            ("app + db", "{delivery_ms:.4f}"),
            ("drain s", "{drain:.1f}"),
            *(MOST, *MACHINE),
        ),
        message_path.fan_out,
        {"endpoints": 100, "seconds": 2, "warm_up": 1, "connections": 32},
    ),
    Measure(
        "batch",
        "many messages in each request; they are delivered meanwhile and afterwards",
        (
            ("accepted/s", "{accepted:.0f}"),
            ("delivered/s", "{delivered:.0f}"),
            ("delivered after s", "{drain:.1f}"),
            *(*CPU, ACCEPT, MOST, *MACHINE),
        ),
        message_path.measure,
        {"rate": 0, "batch": 1000, "connections": 4, "warm_up": 1},
    ),
    Measure(
        "soak",
        "saturation for long: memory must stay flat",
        (
            *SATURATED[:2],
            ("RSS MB early", "{rss_early:.0f}"),
            ("late", "{rss_late:.0f}"),
            ("most", "{rss_most:.0f}"),
            *MACHINE,
        ),
        message_path.measure,
        {"rate": 0, "seconds": 60},
    ),
    Measure(
        "sustained",
        "saturation for ten minutes, the last against the first: what maintenance of the database costs",
        (
            ("messages", "{messages:.0f}"),
            ("msgs/s first", "{first_complete:.0f}"),
            ("last", "{complete:.0f}"),
            ("app", "{first_app_ms:.3f}"),
            ("last", "{app_ms:.3f}"),
            ("db", "{first_database_ms:.3f}"),
            ("last", "{database_ms:.3f}"),
            ("CPU times", "{cpu_times:.2f}"),
            ("accept p99 ms", "{first_accept99:.0f}"),
            ("last", "{accept99:.0f}"),
            ("times", "{wait_times:.2f}"),
            *MACHINE,
        ),
        message_path.sustained,
        {"rate": 0, "seconds": 60, "count": 10},
    ),
    Measure(
        "hanging",
        "many endpoints of which one in a hundred hangs for 30 s: what the others feel of it",
        BESIDE,
        unhealthy_endpoints.hanging,
        {"count": 1000},
    ),
    Measure(
        "isolation-refusing",
        "due retries to an endpoint without a listener: their effect on a healthy one",
        (*BESIDE, ("tried/s", "{tried:.0f}")),
        partial(unhealthy_endpoints.isolation, hangs=False),
        {"count": 100_000},
    ),
    Measure(
        "isolation-hanging",
        "retries due to an endpoint that never answers: what a healthy one feels of them",
        (*BESIDE, ("tried/s", "{tried:.0f}")),
        partial(unhealthy_endpoints.isolation, hangs=True),
        {"count": 100_000},
    ),
    Measure(
        "backlog",
        "deliveries that are due at the start: how fast they drain, and the longest wait for a ping meanwhile",
        (
            ("delivered/s", "{per_second:.0f}"),
            ("longest ping ms", "{stall:.0f}"),
            ("app", "{app_ms:.3f}"),
            *(MOST, *MACHINE[1:]),
        ),
        backlog.measure,
        {"count": 100_000},
    ),
    Measure(
        "retention",
        "many old messages, and then retention that deletes them: what callers feel of it",
        (
            ("rate", "{rate:.0f}/s"),
            ("accept ms before", "{calm_accept50:.1f}/{calm_accept99:.1f}"),
            ("beside", "{accept50:.1f}/{accept99:.1f}"),
            ("p99 times", "{times:.2f}"),
            ("app before", "{calm_app_ms:.3f}"),
            ("beside", "{app_ms:.3f}"),
            ("db before", "{calm_database_ms:.3f}"),
            ("beside", "{database_ms:.3f}"),
            ("deleted/s", "{deleted:.0f}"),
            *(MOST, *MACHINE),
        ),
        retention.measure,
        {"count": 200_000, "connections": 32},
    ),
    Measure(
        "failing",
        "an endpoint that answers 500 to everything",
        (*SATURATED[1:2], ("attempts/s", "{delivered:.0f}"), *SATURATED[2:]),
        unhealthy_endpoints.failing,
    ),
    Measure(
        "relay",
        "operational events: from the cause to the first attempt, on one node and across two, and a drain of 10,000",
        (
            ("events", "{events:.0f}"),
            ("disabled ms", "{disabled50:.0f}/{disabled99:.0f}"),
            ("exhausted ms", "{exhausted50:.0f}/{exhausted99:.0f}"),
            ("across nodes ms", "{across50:.0f}/{across99:.0f}"),
            ("10,000 drained s", "{drained:.1f}"),
            *(*CPU, *MACHINE),
        ),
        relay.measure,
        {"count": 300},
    ),
    Measure(
        "transforming",
        "deliveries to an endpoint with a script, until the last attempt is recorded; their waits at half the rate",
        (
            ("deliveries", "{deliveries:.0f}"),
            ("per second", "{per_second:.0f}"),
            ("node", "{node_ms:.3f}"),
            ("child", "{child_ms:.3f}"),
            ("db", "{stored_ms:.3f}"),
            ("per core and second", "{per_core:.0f}"),
            ("at", "{rate:.0f}/s"),
            ("receive ms", "{half_receive50:.1f}/{half_receive99:.1f}"),
            *(MOST, *MACHINE),
        ),
        transforming.measure,
        {"seconds": 2, "warm_up": 1, "connections": 16},
    ),
    Measure(
        "isolation-scripts",
        "endpoints with a script and without one: alone, beside an endless script, and beside one that fills memory",
        (
            ("rate", "{rate:.0f}/s"),
            *(
                (
                    f"{name}, {beside}",
                    "{%s_complete:.0f}/s {%s_receive50:.1f}/{%s_receive99:.1f} ms" % ((f"{name}_{beside}",) * 3),
                )
                for name in ("scripted", "plain")
                for beside in ("alone", "loop", "bomb")
            ),
            *(MOST, *MACHINE),
        ),
        transforming.isolation,
        {"seconds": 10, "warm_up": 2},
    ),
    Measure(
        "cold-start",
        "from exec to the first message accepted, and to its arrival",
        (
            ("empty, ready ms", "{empty:.0f}"),
            ("accepted ms", "{accepted:.0f}"),
            ("at most", "{accepted_most:.0f}"),
            ("received ms", "{received:.0f}"),
            ("at most", "{received_most:.0f}"),
            ("CPU ms", "{used:.0f}"),
            *(MOST, ("calib ms", "{calibration:.0f}")),
        ),
        cold.measure,
        {"count": 5},
    ),
)
MEASURES: Final = {each.name: each for each in _ALL}


@dataclass(frozen=True, slots=True)
class Asked:
    """A measurement selected on the command line: its arguments and number of runs."""

    title: str
    measure: Measure
    runs: int
    given: dict[str, Any]
    wanted: Column = ("", "")
    """For the summary table: a target, and the figure to compare with it."""

    @property
    def shape(self) -> Shape:
        """Return the shape of the traffic."""
        return Shape(**{"seconds": 10, **self.measure.usual, **self.given})

    @property
    def command(self) -> str:
        """Return the command that runs this measurement alone."""
        options = "".join(f" --{name.replace('_', '-')} {value}" for name, value in self.given.items())
        return f"make bench ARGS='{self.measure.name}{options} --runs {self.runs}'"


def _asked(title: str, name: str, runs: int, wanted: Column, **given: int) -> Asked:
    return Asked(title, MEASURES[name], runs, given, wanted)


MESSAGES: Final = "{complete:.0f}/s; {app_ms:.3f} + {database_ms:.3f}"
EVERYTHING: Final = (
    _asked(
        "1 endpoint, 256 connections",
        *("most", 3, (">= 10,000/s (SQLite 9,000); app <= 0.080, PostgreSQL <= 0.050 CPU-ms", MESSAGES)),
        seconds=8,
    ),
    _asked("3 endpoints", "most", 3, ("", MESSAGES), seconds=6, endpoints=3),
    _asked("100 endpoints on 100 ports", "most", 3, ("", MESSAGES), seconds=6, endpoints=100),
    _asked(
        "Fan-out to 100 endpoints, per delivery",
        *(
            "fan-out",
            3,
            ("<= 0.07 CPU-ms, service and PostgreSQL", "{delivery_app_ms:.3f} + {delivery_database_ms:.3f}"),
        ),
        seconds=2,
    ),
    _asked(
        "2,000 messages/s",
        *("latency", 3, ("accept p99 <= 5 ms, receive p99 <= 10 ms", "{accept99:.1f} / {receive99:.1f} ms")),
        rate=2000,
        seconds=6,
    ),
    _asked("Batches of 1,000, no endpoint", "batch", 3, (">= 25,000/s", "{accepted:.0f}/s"), seconds=4, endpoints=0),
    _asked("Batches of 1,000, 1 endpoint", "batch", 2, (">= 25,000/s", "{accepted:.0f}/s"), seconds=3),
    _asked("+1 ms for each fsync", "most", 3, (">= 70 % of the first", MESSAGES), seconds=6, slow_disk=1000),
    _asked(
        "1,000 endpoints, 1 % hanging for 30 s",
        *("hanging", 1, ("receive p99 <= 2 times", "{calm_receive99:.1f} -> {receive99:.1f} ms, {times:.2f} times")),
        seconds=10,
    ),
    *(
        _asked(
            f"100,000 retries due to an endpoint that {manner}",
            *(f"isolation-{name}", 2),
            ("receive p99 <= 1.2 times", "{calm_receive99:.1f} -> {receive99:.1f} ms, {times:.2f} times"),
            seconds=6,
        )
        for manner, name in (("refuses", "refusing"), ("hangs", "hanging"))
    ),
    *(
        _asked(
            f"100,000 deliveries due to {number} endpoint{'s' * (number > 1)}",
            *("backlog", 2, (f">= {rate}/s; no ping over 100 ms", "{per_second:.0f}/s; {stall:.0f} ms")),
            endpoints=number,
        )
        for number, rate in ((1, "8,000"), (100, "5,000"))
    ),
    _asked(
        "Saturation for a minute",
        *("soak", 1, ("RSS < 300 MB, flat", "{rss_early:.0f} -> {rss_late:.0f} MB")),
        seconds=60,
    ),
    _asked("16 connections", "most", 2, ("", MESSAGES), seconds=5, connections=16),
    _asked("Bodies of 64 KB", "most", 2, ("", MESSAGES), seconds=5, body=65536),
    _asked(
        "An endpoint that always fails",
        *("failing", 2, ("", "{accepted:.0f}/s accepted; {app_ms:.3f} + {database_ms:.3f}")),
        seconds=5,
    ),
    _asked(
        "Cold start",
        "cold-start",
        1,
        ("", "accepted after {accepted:.0f} ms, received after {received:.0f} ms"),
        count=5,
    ),
)
