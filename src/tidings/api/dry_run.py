# SPDX-License-Identifier: MIT
"""Dry runs over HTTP: `?dryRun=true` on each route that starts a task."""

from dataclasses import replace

from tidings.api.context import Context
from tidings.api.query import DryRunQuery, Query
from tidings.api.started import KindName
from tidings.api.wire import Out, json_response
from tidings.core.dry_run import Estimate, dry_run_services
from tidings.core.idempotency import Response


class DryRunOut(Out, kw_only=True):
    """What a task would do. A dry run starts no task and stores nothing."""

    task: KindName
    """The kind of the task."""
    total: int | None
    """The number of items that the task would process. Null if it is unknown."""
    exact: bool
    """Whether `total` is exact. Ranges of more than 50,000 rows are estimated."""
    estimate_seconds: int | None
    """The estimated duration of the task, in seconds. Null if it is unknown."""
    sample: list[str]
    """The ids of up to five items."""


def render(estimate: Estimate) -> Response:
    """Respond with the estimate of a task."""
    body = DryRunOut(
        task=estimate.kind,
        total=estimate.total,
        exact=estimate.exact,
        estimate_seconds=estimate.estimate_seconds,
        sample=list(estimate.sample),
    )
    return json_response(200, body)


def context_for(params: Query, context: Context) -> Context:
    """Return the context for a handler; in a dry run, its services store nothing."""
    if not isinstance(params, DryRunQuery) or not params.dry_run:
        return context
    return replace(context, services=dry_run_services(context.services, context.estimate, render))
