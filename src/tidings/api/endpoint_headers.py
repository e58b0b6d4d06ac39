# SPDX-License-Identifier: MIT
"""Custom headers of endpoints over HTTP."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from msgspec import Meta

from tidings.api.endpoints import TAG
from tidings.api.fields import HEADERS, HeaderValue
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import In, Out, json_response
from tidings.core import endpoints
from tidings.core.idempotency import Response
from tidings.errors import Fault, invalid
from tidings.model.endpoint import HEADERS_MAX, deduplicated, header_faults, is_redacted, merged, size_faults
from tidings.model.token import Capability

_NAMES: Final = Meta(extra_json_schema={"uniqueItems": True})
_DELETED: Final = Meta(extra_json_schema={"maxItems": HEADERS_MAX})


class EndpointHeadersOut(Out, kw_only=True):
    """The headers that every request to an endpoint carries."""

    headers: dict[str, str]
    """The headers by name. Sensitive headers are left out."""
    sensitive: Annotated[tuple[str, ...], _NAMES]
    """The names of the headers whose values are not shown, such as `authorization`."""


class EndpointHeadersIn(In, kw_only=True):
    """All custom headers of an endpoint."""

    headers: Annotated[dict[str, HeaderValue], HEADERS]
    """The headers by name, at most 50 and 16 KiB together. They replace all headers of the endpoint."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        for fault in header_faults(deduplicated(self.headers)):
            yield Fault(fault.loc, fault.msg, "value_error.jsondecode")


class EndpointHeadersPatchIn(In, kw_only=True):
    """Headers to set and headers to delete."""

    headers: Annotated[dict[str, HeaderValue | None], HEADERS]
    """The headers to set, by name in any case, at most 50. Null deletes a header."""
    delete_headers: Annotated[tuple[str, ...], _DELETED] = ()
    """The names of headers to delete, at most 50. None by default."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if len(self.headers) > HEADERS_MAX:
            yield Fault(("body", "headers"), f"headers must have at most {HEADERS_MAX} items.")
        elif len(self.delete_headers) > HEADERS_MAX:
            yield Fault(("body", "deleteHeaders"), f"deleteHeaders must have at most {HEADERS_MAX} items.")
        else:
            yield from header_faults({name: value for name, value in self.headers.items() if value is not None})

    def applied(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers with the changes; raise `invalid` if they exceed the limits."""
        found = merged(headers, self.headers, self.delete_headers)
        wrong = size_faults(found) if any(value is not None for value in self.headers.values()) else []
        if wrong:
            raise invalid(*wrong)
        return found


async def get(call: Call[Query, Nothing]) -> Response:
    """Return the headers that every request to an endpoint carries, without the values of sensitive ones."""
    headers = await endpoints.headers(call.context.services, call.app, call.path["endpoint_id"])
    shown, sensitive = visible(headers)
    return json_response(200, EndpointHeadersOut(headers=shown, sensitive=sensitive))


def visible(headers: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the headers whose values callers may see, and the names of the others."""
    shown = {name: value for name, value in headers.items() if not is_redacted(name)}
    return shown, tuple(filter(is_redacted, headers))


async def put(call: Call[Query, EndpointHeadersIn]) -> Response:
    """Replace all custom headers of an endpoint, from the next request on.

    A header that the service sets itself, such as `content-type`, is a 422.
    """
    headers = deduplicated(call.body.headers)
    await endpoints.set_headers(call.context.services, call.app, call.path["endpoint_id"], lambda _: headers)
    return Response(204)


async def patch(call: Call[Query, EndpointHeadersPatchIn]) -> Response:
    """Set and delete custom headers of an endpoint, from the next request on.

    Names match in any case and keep the spelling given last. A header that the service sets itself is a 422.
    """
    await endpoints.set_headers(call.context.services, call.app, call.path["endpoint_id"], call.body.applied)
    return Response(204)


_PATH: Final = "/app/{app_id}/endpoint/{endpoint_id}/headers"

ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path=_PATH,
        operation="v1.endpoint.get-headers",
        tag=TAG,
        summary="Get the custom headers of an endpoint",
        access=Access.APP,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: EndpointHeadersOut},
    ),
    Route(
        method="PUT",
        path=_PATH,
        operation="v1.endpoint.set-headers",
        tag=TAG,
        summary="Replace the custom headers of an endpoint",
        access=Access.APP,
        needs=Capability.MANAGE_ENDPOINT,
        query=Query,
        body=EndpointHeadersIn,
        handler=put,
        responses={204: None},
    ),
    Route(
        method="PATCH",
        path=_PATH,
        operation="v1.endpoint.patch-headers",
        tag=TAG,
        summary="Set and delete custom headers of an endpoint",
        access=Access.APP,
        needs=Capability.MANAGE_ENDPOINT,
        query=Query,
        body=EndpointHeadersPatchIn,
        handler=patch,
        responses={204: None},
    ),
)
