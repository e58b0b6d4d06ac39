# SPDX-License-Identifier: MIT
"""Every metric: its name, type, labels and meaning. The response, its documentation and the tests derive from it.

No metric has a label for an organization, application, endpoint or node: their number would have no bound.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

PREFIX: Final = "tidings_"
_CAP: Final = " Counts up to 100,000."
_TOTALS: Final = " One node reads it for all, every 15 s; aggregate with `max`."


class MetricType(Enum):
    """The types of metrics, by their names in the text format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


Merge = Callable[[Iterable[float]], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is without the prefix and, for a counter, without `_total`."""

    name: str
    type: MetricType
    doc: str
    labels: tuple[str, ...] = ()
    merge: Merge = sum
    """Combines the values of several workers."""
    is_total: bool = False
    """Whether it is read from the database, for all nodes."""

    @property
    def full_name(self) -> str:
        """The name as a query has it; a histogram has series with the suffixes `_bucket`, `_sum` and `_count`."""
        return PREFIX + self.name + ("_total" if self.type is MetricType.COUNTER else "")


def _counter(name: str, doc: str, *labels: str) -> Metric:
    return Metric(name, MetricType.COUNTER, doc, labels)


def _gauge(name: str, doc: str, *labels: str, merge: Merge = sum) -> Metric:
    return Metric(name, MetricType.GAUGE, doc, labels, merge)


def _histogram(name: str, doc: str) -> Metric:
    return Metric(name, MetricType.HISTOGRAM, doc)


def _total(name: str, doc: str, *labels: str) -> Metric:
    return Metric(name, MetricType.GAUGE, doc + _TOTALS, labels, max, is_total=True)


CATALOG: Final = (
    _counter("messages_accepted", "Messages that were stored."),
    _counter(
        "messages_not_stored",
        "Messages that could not be stored, because of the database or an internal error. Their callers got a 5xx.",
    ),
    _histogram("accept_seconds", "From the complete request to the result of storing the message."),
    _histogram(
        "first_attempt_delay_seconds",
        "From the time at which a delivery is due to the start of its first attempt. Without endpoints that have a rate"
        " limit or fail.",
    ),
    _counter(
        "attempts",
        "Attempts by outcome: `delivered`, the class of a failure's HTTP status, `timeout`, `no_response` (no"
        " connection, or it broke), `invalid_response` or `transformation` (the script of the endpoint failed).",
        "outcome",
    ),
    _counter(
        "transformations",
        "Runs of scripts for deliveries, by outcome: `sent` (the request was made), `canceled`, `error` (it threw or"
        " returned an invalid request), `timeout`, `memory`, `crash` (its process ended), `other` (it could not run),"
        " or `unstarted` (no process or memory was free in time; no attempt).",
        "outcome",
    ),
    _counter("transformation_processes_started", "Processes for scripts that were started."),
    _counter(
        "transformation_processes_ended",
        "Processes for scripts that were replaced: a script was `late` or used its `memory`, or the process `ended`.",
        "reason",
    ),
    _counter("deliveries_exhausted", "Deliveries whose last scheduled attempt failed."),
    _counter(
        "endpoints_disabled",
        "Endpoints that the service disabled: after lasting failure (`failing`), because of a 410 (`gone`), or at their"
        " receiver's request (`receiver`).",
        "reason",
    ),
    _counter(
        "api_requests",
        "Responses of the API by class of their HTTP status. 501 is a class of its own: an operation that tidings does"
        " not have is no server error.",
        "status",
    ),
    _counter("api_connections_refused", "Connections over `max_connections`, which got a 503."),
    _counter("tasks_ended", "Background tasks that ended, by kind and state.", "kind", "state"),
    _counter("task_items", "Items that background tasks have visited."),
    _counter("payloads_expired", "Payloads that were deleted because their retention was over."),
    _counter("retention_messages_deleted", "Messages that `message_retention` deleted."),
    _counter(
        "retention_attempts_deleted",
        "Attempts that `message_retention` deleted, without those of a week that was dropped as a whole.",
    ),
    _counter(
        "retention_messages_kept",
        "Messages that `message_retention` left because of a delivery; each run counts them again.",
    ),
    _counter("retention_weeks_dropped", "Weeks whose partitions `message_retention` dropped. PostgreSQL only."),
    _counter("retention_bytes_returned", "Bytes that were returned to the file system after deletions. SQLite only."),
    _counter(
        "spans_not_exported",
        "Spans of traces that were selected and not exported: over 200 per second (`left_out`), or not taken by the"
        " collector (`lost`).",
        "reason",
    ),
    _counter("failures", "Failures in the service's own work that were logged."),
    _histogram("database_wait_seconds", "The wait for a connection to PostgreSQL, or for the one writer of SQLite."),
    _histogram("event_loop_lag_seconds", "How late a timer of the event loop runs, measured once a second."),
    _gauge("deliveries_in_memory", "Deliveries in memory, waiting or in flight."),
    _gauge("sends_in_flight", "Requests to receivers that are in flight."),
    _gauge("transformation_processes", "Processes for scripts, which start when they are needed."),
    _gauge("transformations_waiting", "Scripts that wait for a process."),
    _gauge("api_connections", "Open connections to the API."),
    _gauge("database_up", "1 if the database can be read, else 0.", merge=min),
    _gauge("database_writable", "1 if the heartbeat of the node was written, else 0.", merge=min),
    _gauge(
        "heartbeat_timestamp_seconds",
        "When the node last wrote its heartbeat; of several workers, the oldest. On SQLite a scrape causes the write.",
        merge=min,
    ),
    _gauge("processes", "Processes that reported the numbers of this response."),
    _gauge(
        "build_info",
        "1, with the release, the Python version and the kind of database.",
        "version",
        "python",
        "database",
        merge=max,
    ),
    _counter("process_cpu_seconds", "CPU time, user and system."),
    _gauge("process_resident_memory_bytes", "Resident memory."),
    _gauge("process_open_fds", "Open file descriptors."),
    _gauge("process_start_time_seconds", "When the process started; of several workers, the latest.", merge=max),
    _total(
        "deliveries",
        "Outstanding deliveries by state: `scheduled` for later, `in_flight` (leased to a node) or `overdue`." + _CAP,
        "state",
    ),
    _total(
        "deliveries_held_back",
        "Those of the overdue ones whose endpoint is disabled, unreachable or at its rate limit: they wait for the"
        " receiver, not for the service." + _CAP,
    ),
    _total(
        "oldest_overdue_seconds",
        "How long the oldest delivery is overdue, without those that are held back and without messages that tasks"
        " resend; 0 if none is. Looks at the first 2,000 overdue deliveries, then at 2,000 endpoints.",
    ),
    _total(
        "endpoints",
        "Endpoints by failure record: `healthy`, `failing` (a delivery was exhausted), `unreachable` (no response),"
        " `disabled`." + _CAP,
        "health",
    ),
    _total("rate_limits_in_force", "Rate limits of endpoints and applications that delay deliveries." + _CAP),
    _total("tasks", "Background tasks that have not ended, by kind and state." + _CAP, "kind", "state"),
    _total(
        "task_oldest_progress_seconds",
        "The time since the last progress of the task that has made none for longest, of those that run or are ready"
        " to; 0 if there is none.",
    ),
    _total(
        "nodes",
        "Nodes that hold their liveness lock (`alive`), and those that do not (`lost`). PostgreSQL only.",
        "state",
    ),
    _total("database_size_bytes", "Size of the database; on SQLite with the write-ahead log."),
    _total("database_filesystem_free_bytes", "Free bytes of the database's file system. SQLite only."),
    _total("database_filesystem_size_bytes", "Size of the database's file system. SQLite only."),
    _total("totals_timestamp_seconds", "When a node read the totals. Totals older than a minute are left out."),
)
BY_NAME: Final = {metric.name: metric for metric in CATALOG}


def series() -> set[str]:
    """Return the names of all series that a response may have."""
    found = set()
    for metric in CATALOG:
        is_histogram = metric.type is MetricType.HISTOGRAM
        suffixes = ("_bucket", "_sum", "_count") if is_histogram else ("",)
        found |= {metric.full_name + suffix for suffix in suffixes}
    return found
