# SPDX-License-Identifier: MIT
"""Import event types in the console: paste a document, see what would change, and import it."""

from typing import Final

from tidings.core import event_type_imports
from tidings.core.event_type_imports import ImportSource
from tidings.core.idempotency import Response
from tidings.errors import AppError, ErrorKind
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_TEMPLATE: Final = "console_import.html"
_FORM_BYTES: Final = 2 * 1024 * 1024
_FIELD: Final = 2
"""The parts of a fault's location before the place in the document."""


async def form(page: PageRequest) -> Answer:
    """Show the form for a document."""
    return page.page(_TEMPLATE, document="", replaces=False, plan=None, problems=())


async def check(page: PageRequest) -> Answer:
    """Show what an import of the document would change."""
    document, replaces = page.form.raw("document"), page.form.has("replaces")
    try:
        stated = await event_type_imports.read(ImportSource(None, document))
        plan = await event_type_imports.plan(page.services, page.org_id, stated, replaces=replaces)
    except AppError as error:
        return _refused(page, error)
    return page.page(_TEMPLATE, document=document, replaces=replaces, plan=plan, problems=())


async def run(page: PageRequest) -> Answer:
    """Import the document, as it was checked."""
    document, replaces = page.form.raw("document"), page.form.has("replaces")
    try:
        stated = await event_type_imports.read(ImportSource(None, document))
        await event_type_imports.run(
            page.services,
            page.org_id,
            stated,
            replaces=replaces,
            idempotency_key=page.idempotency_key(),
            render=lambda _: Response(200, b"{}"),
        )
    except AppError as error:
        return _refused(page, error)
    return page.redirect("event-type", done="imported")


def _refused(page: PageRequest, error: AppError) -> Answer:
    """Show the faults of a document above the form; raise any other error again."""
    if error.kind not in (ErrorKind.INVALID, ErrorKind.BAD_REQUEST):
        raise error
    problems = [(" / ".join(fault.loc[_FIELD:]), fault.msg) for fault in error.faults] or [("", error.detail)]
    return page.page(
        _TEMPLATE,
        status=422,
        document=page.form.raw("document"),
        replaces=page.form.has("replaces"),
        plan=None,
        problems=problems,
    )


VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="/import-event-types", handler=form),
    View(
        scope=Scope.ORGANIZATION,
        path="/import-event-types",
        method="POST",
        handler=check,
        form_bytes=_FORM_BYTES,
        is_reading=True,
    ),
    View(scope=Scope.ORGANIZATION, path="/import-event-types/run", method="POST", handler=run, form_bytes=_FORM_BYTES),
)
