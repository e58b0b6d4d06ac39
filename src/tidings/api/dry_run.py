# SPDX-License-Identifier: MIT
"""Dry runs over HTTP: `?dryRun=true` on each route that starts a task."""

from dataclasses import replace

from tidings.api.context import Context
from tidings.api.query import DryRunQuery, Query
from tidings.api.tasks import BackgroundTaskType
from tidings.api.wire import Out, answer
from tidings.core.dry_run import Estimate, dry_run_services
from tidings.core.idempotency import Answer


class DryRunOut(Out, kw_only=True):
    """What a task would do. Nothing of it has been done, and nothing has been written."""

    task: BackgroundTaskType
    total: int | None
    exact: bool
    estimate_seconds: int | None
    sample: list[str]


def render(estimate: Estimate) -> Answer:
    """Answer with the estimate of a task."""
    body = DryRunOut(
        task=BackgroundTaskType(estimate.kind),
        total=estimate.total,
        exact=estimate.exact,
        estimate_seconds=estimate.estimate_seconds,
        sample=list(estimate.sample),
    )
    return answer(200, body)


def context_for(params: Query, context: Context) -> Context:
    """Return what a handler may use; in a dry run, services that store nothing."""
    if not isinstance(params, DryRunQuery) or not params.dry_run:
        return context
    return replace(context, services=dry_run_services(context.services, context.estimate, render))
