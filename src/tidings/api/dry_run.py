# SPDX-License-Identifier: MIT
"""Dry runs over HTTP: `?dryRun=true` on whatever starts a task."""

from dataclasses import replace

from tidings.api.context import Context
from tidings.api.query import DryRunQuery, Query
from tidings.api.tasks import BackgroundTaskType
from tidings.api.wire import Out, answer
from tidings.core.idempotency import Answer
from tidings.core.rehearsal import Forecast, rehearsing


class DryRunOut(Out, kw_only=True):
    """What a task would do. Nothing of it has been done, and nothing has been written."""

    task: BackgroundTaskType
    total: int | None
    exact: bool
    estimate_seconds: int | None
    sample: list[str]


def told(forecast: Forecast) -> Answer:
    """Answer with what a task would do."""
    body = DryRunOut(
        task=BackgroundTaskType(forecast.kind),
        total=forecast.total,
        exact=forecast.exact,
        estimate_seconds=forecast.estimate_seconds,
        sample=list(forecast.sample),
    )
    return answer(200, body)


def context_for(asked: Query, context: Context) -> Context:
    """Return what a handler may use; in a dry run, services that store nothing."""
    if not isinstance(asked, DryRunQuery) or not asked.dry_run:
        return context
    return replace(context, services=rehearsing(context.services, context.foresee, told))
