# SPDX-License-Identifier: MIT
"""Exports of event types over HTTP: the link that downloads one."""

from typing import Annotated, Final

from tidings.api.http import File
from tidings.api.query import ParameterType, Query, integer
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.core import exports
from tidings.core.idempotency import Response

TAG: Final = "Event Type"


def _exact(value: str) -> int:
    """Parse a whole number that is in its canonical spelling; raise `ValueError` for any other spelling."""
    number = integer(value)
    if str(number) != value:
        raise ValueError("not the canonical spelling of a number")
    return number


class ExportLinkQuery(Query, kw_only=True):
    """The signature of a link to an export."""

    expires: Annotated[
        int | None, ParameterType(_exact, {"type": "integer", "format": "int64"}, example=1777725000)
    ] = None
    """When the link expires, in seconds since 1970-01-01, as in the link."""
    signature: Annotated[str | None, ParameterType(str, {"type": "string"}, example="5f2b9c")] = None
    """The signature of the link, in hexadecimal."""


async def fetch(call: Call[ExportLinkQuery, Nothing]) -> Response:
    """Return the archive of an export as a ZIP file. The signed link needs no token.

    A wrong signature is a 403, and an expired link a 404.
    """
    found = await exports.fetch(call.context.services, call.path["export_id"], call.query.expires, call.query.signature)
    return File(200, found, content_type="application/zip", name="webhook-models.zip")


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/export/{export_id}",
        operation="v1.export.get",
        tag=TAG,
        summary="Download an export",
        access=Access.OPEN,
        query=ExportLinkQuery,
        body=Nothing,
        handler=fetch,
        responses={200: None},
    ),
)
