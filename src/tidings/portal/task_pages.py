# SPDX-License-Identifier: MIT
"""Background tasks: the list, and the page of a task with live progress and its commands.

They appear for an application, for an organization, and as a list for operators.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from tidings import ids
from tidings.core import endpoints, lookup, outcomes, task_items, tasks
from tidings.core.changes import Subject, SubjectKind
from tidings.core.services import Services
from tidings.errors import not_found
from tidings.model.page import Page
from tidings.model.status import Count
from tidings.model.task import ENDED, Task, WireStatus
from tidings.model.task_item import ItemOutcome
from tidings.model.task_kind import Effect
from tidings.model.token import Capability, Principal
from tidings.portal import task_report, task_words
from tidings.portal.formats import local_time
from tidings.portal.live import LastPart
from tidings.portal.request import PORTAL, PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

Command = Callable[[Services, Principal, str], Awaitable[Task]]
_COMMANDS: Final[Mapping[str, Command]] = {
    "pause": tasks.pause,
    "resume": tasks.resume,
    "cancel": tasks.cancel,
    "retry": tasks.retry,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task as the pages show it."""

    task: Task
    title: str
    state: str
    color: str
    progress: task_words.ProgressText
    duration: str
    started_by: str
    endpoint_id: str | None
    endpoint_url: str | None
    """The endpoint that the task resends to; None for other tasks, and for an endpoint that was deleted long ago."""
    url: str
    """The address of the task's page."""
    app_url: str | None
    """The start of the addresses of its application's pages; None for a task without an application."""
    app_name: str
    """The name of its application, or its id if the page has no names; empty without an application."""

    @property
    def is_active(self) -> bool:
        return self.task.state not in ENDED


def viewer(page: PageRequest) -> Principal:
    """Return the caller, narrowed to the application of the page if it is one of an application."""
    return page.principal if page.found is None else replace(page.principal, app_id=page.app.id)


async def index(page: PageRequest) -> Answer:
    """Show the tasks of the application, of the organization, or of all organizations."""
    found = await _found(page)
    live = None if page.query["at"] else page.url("task", "live", status=page.query["status"], kind=page.query["kind"])
    kinds = {name: page.services.kinds.summary_of(name) for name in _kinds(page)}
    return page.page("tasks.html", found=found, live=live, kinds=kinds, statuses=task_words.STATUSES)


async def index_live(page: PageRequest) -> Answer:
    """Follow the first page of the list."""

    async def render(shared: PageRequest) -> str:
        return shared.part("task_rows.html", found=await _found(shared))

    subject = None
    if page.found is not None:
        subject = Subject(SubjectKind.TASKS_OF_APPLICATION, page.app.id)
    elif not page.principal.is_operator:
        subject = Subject(SubjectKind.TASKS_OF_ORGANIZATION, page.org_id)
    return page.follow(render, subject)


async def _found(page: PageRequest) -> Page[TaskRow]:
    status, kind = page.query["status"], page.query["kind"]
    found = await tasks.page(
        page.services,
        viewer(page),
        page.cursor(),
        status=WireStatus(status) if status in list(WireStatus) else None,
        kind=kind if kind in _kinds(page) else None,
        kinds=_kinds(page),
    )
    rows = await rows_of(page, found.items)
    return found.mapped(lambda task: rows[task.id])


def _kinds(page: PageRequest) -> tuple[str, ...]:
    """Return the kinds that the page is about: the portal has those that tokens of applications start."""
    kinds = page.services.kinds
    return kinds.of_applications if page.shell == PORTAL else kinds.listed


async def rows_of(page: PageRequest, found: Sequence[Task]) -> dict[str, TaskRow]:
    """Return tasks as pages show them, by their ids."""
    targets = {task.id: task_words.args_of(task).get("endpoint_id") for task in found}
    known = [each for each in targets.values() if isinstance(each, str)]
    urls = await endpoints.urls(page.services, {task.org_id for task in found}, known)
    names = await _app_names(page, found)
    return {task.id: _row(page, task, targets[task.id], urls, names) for task in found}


async def _app_names(page: PageRequest, found: Sequence[Task]) -> Mapping[str, str]:
    """Return the names of the applications of tasks, on pages of one organization."""
    if page.found is not None or "org_id" not in page.path:
        return {}
    app_ids = sorted({task.app_id for task in found if task.app_id is not None})
    names = await lookup.app_names(page.services, page.org_id, app_ids) if app_ids else {}
    return {app_id: each.name for app_id, each in names.items()}


def _row(
    page: PageRequest, task: Task, target: object, urls: Mapping[str, str], app_names: Mapping[str, str]
) -> TaskRow:
    state, color = task_words.state_of(task)
    endpoint_id = target if isinstance(target, str) else None
    return TaskRow(
        task=task,
        title=page.services.kinds.summary_of(task.kind),
        state=state,
        color=color,
        progress=task_words.progress_of(task),
        duration=task_words.duration_of(task, page.now),
        started_by=_started_by(page, task),
        endpoint_id=endpoint_id,
        endpoint_url=urls.get(endpoint_id or ""),
        url=_task_url(page, task),
        app_url=_app_url(page, task),
        app_name=app_names.get(task.app_id or "") or task.app_id or "",
    )


def _task_url(page: PageRequest, task: Task) -> str:
    return page.console_url(task.org_id, "task", task.id) if page.principal.is_operator else page.url("task", task.id)


def _app_url(page: PageRequest, task: Task) -> str | None:
    if task.app_id is None:
        return None
    return page.url() if page.found is not None else page.console_url(task.org_id, "app", task.app_id)


def _started_by(page: PageRequest, task: Task) -> str:
    if task.created_by is None:
        return "unknown"
    if task.created_by == task.app_id:
        return "this portal or your own code" if page.shell == PORTAL else "the application"
    if task.created_by == task.org_id:
        return "your provider" if page.shell == PORTAL else "the organization"
    return "your provider" if page.shell == PORTAL else task.created_by


async def task_of(page: PageRequest) -> Task:
    """Return the task of the page's address; raise `not_found` if the session may not see it."""
    task_id = page.path["task_id"]
    if not ids.is_id(task_id, ids.TASK):
        raise not_found()
    task = await tasks.get(page.services, viewer(page), task_id)
    if page.shell == PORTAL and task.kind not in _kinds(page):
        raise not_found()
    return task


async def show(page: PageRequest) -> Answer:
    """Show a task with its progress, its timeline and its items."""
    task = await task_of(page)
    values = await _part_values(page, task)
    report = await task_report.report_of(page, task, viewer(page))
    again = _again_url(page, values["row"])
    return page.page("task.html", **values, report=report, again=again, facts=_facts(task))


async def show_live(page: PageRequest) -> Answer:
    """Follow the progress of a task, and of the deliveries that it requested."""
    task_id = (await task_of(page)).id

    async def render(shared: PageRequest) -> str:
        task = await tasks.get(shared.services, viewer(shared), task_id)
        values = await _part_values(shared, task)
        text = shared.part("task_part.html", **values)
        return LastPart(text) if task_words.is_over(task, values["counts"]) else text

    return page.follow(render, Subject(SubjectKind.TASK, task_id))


async def _part_values(page: PageRequest, task: Task) -> dict[str, Any]:
    """Return the values of the part that follows a task."""
    counts = await task_items.counts(page.services, task.id)
    events = await tasks.timeline(page.services, task.id)
    resends = page.services.kinds.has_effect(task.kind, Effect.RESENDS)
    return {
        "row": (await rows_of(page, [task]))[task.id],
        "counts": counts,
        "stats": _stats(page, task, counts, resends=resends),
        "result": task_words.result_of(task, counts) if resends else "",
        "timeline": task_words.timeline(task, events),
        "is_over": task_words.is_over(task, counts),
    }


def _stats(
    page: PageRequest, task: Task, counts: Mapping[ItemOutcome, Count], *, resends: bool
) -> list[tuple[str, str, str]]:
    """Return labels and numbers, and the outcome that each of them counts."""
    counters = outcomes.counters_of(page.services.kinds, task)
    found = [(task_words.counter_text(name), f"{value:,}", "") for name, value in counters.items()]
    shown = [each for each in ItemOutcome if counts[each].count]
    if resends:
        shown = [each for each in (*_SENDS, ItemOutcome.WITHDRAWN) if each in _SENDS or counts[each].count]
    shown = [each for each in shown if each is not ItemOutcome.SKIPPED]
    found += [(task_words.OUTCOMES[each][0], task_words.number_of(counts[each]), each.value) for each in shown]
    if task.skipped:
        found.append(("Skipped", f"{task.skipped:,}", ItemOutcome.SKIPPED.value))
    return found


_SENDS: Final = (ItemOutcome.DELIVERED, ItemOutcome.FAILED, ItemOutcome.REARMED)


def _facts(task: Task) -> list[tuple[str, Any]]:
    """Return what the task was asked to do."""
    args = task_words.args_of(task)
    found: list[tuple[str, Any]] = []
    if isinstance(args.get("since"), int):
        found.append(("From", args["since"]))
        found.append(("Until", args["until"] if isinstance(args.get("until"), int) else task.created_at))
    if task.rate_limit is not None:
        found.append(("Rate", f"at most {task.rate_limit:,} per second"))
    filters = args.get("filters")
    if isinstance(filters, dict):
        found += _filter_facts(filters)
    return found


def _filter_facts(filters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    messages = filters.get("messages")
    given = messages if isinstance(messages, dict) else {}
    found: list[tuple[str, Any]] = [
        ("Event types", ", ".join(map(str, given.get("event_types") or ()))),
        ("Channel", given.get("channel") or ""),
        ("Tag", given.get("tag") or ""),
        ("Status code", "" if filters.get("code_class") is None else task_report.code_class(filters["code_class"])),
    ]
    return [(label, text) for label, text in found if text]


def _again_url(page: PageRequest, row: TaskRow) -> str | None:
    """Return the address that resends what a task could not deliver; None for a task that resends nothing."""
    task = row.task
    is_able = row.endpoint_url is not None and page.services.kinds.has_effect(task.kind, Effect.RESENDS)
    if not is_able or row.app_url is None or task.state not in ENDED:
        return None
    if task.kind == "endpoint.recover":
        args = task_words.args_of(task)
        since, until = args.get("since"), args.get("until") or task.created_at
    else:  # the attempts of the task are those to recover: its messages may be older
        since, until = task.created_at, None
    period = {"since": local_time(since), "until": local_time(until)}
    return f"{row.app_url}/recover/check?{urlencode({'endpoint': row.endpoint_id, 'what': 'failed', **period})}"


def _commanded(name: str, command: Command) -> Callable[[PageRequest], Awaitable[Answer]]:
    async def handler(page: PageRequest) -> Answer:
        task = await task_of(page)
        await command(page.services, viewer(page), task.id)
        return page.redirect("task", task.id, done=f"task_{name}")

    handler.__doc__ = f"{name.capitalize()} a task."
    return handler


def _views(scope: Scope) -> tuple[View, ...]:
    return (
        View(scope=scope, path="/task", handler=index),
        View(scope=scope, path="/task/live", handler=index_live),
        View(scope=scope, path="/task/{task_id}", handler=show),
        View(scope=scope, path="/task/{task_id}/live", handler=show_live),
        View(scope=scope, path="/task/{task_id}/items.csv", handler=_csv),
        *(
            View(
                scope=scope,
                path=f"/task/{{task_id}}/{name}",
                method="POST",
                needs=Capability.CREATE_ATTEMPTS,
                handler=_commanded(name, command),
            )
            for name, command in _COMMANDS.items()
        ),
    )


async def _csv(page: PageRequest) -> Answer:
    """Download the items of a task."""
    return task_report.csv_of(page, await task_of(page), viewer(page))


VIEWS: Final = (
    *_views(Scope.APPLICATION),
    *_views(Scope.ORGANIZATION),
    View(scope=Scope.INSTALLATION, path="/task", handler=index),
    View(scope=Scope.INSTALLATION, path="/task/live", handler=index_live),
)
