# SPDX-License-Identifier: MIT
"""Applications over HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final

from msgspec import UNSET, UnsetType

from tidings import ids
from tidings.api.fields import (
    METADATA,
    NEW_RATE,
    OLD_RATE,
    RATE,
    TITLE,
    UID,
    AppId,
    Metadata,
    Rate,
    given,
    patched_rate,
)
from tidings.api.query import AppIterator, Direction, Flag, PageLimit, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import CreatedAt, In, ListResponse, Out, UpdatedAt, format_timestamp, json_response, listing
from tidings.core import apps
from tidings.core.idempotency import Response
from tidings.errors import Fault, invalid
from tidings.model import text
from tidings.model.app import App, AppDraft, AppExclusion
from tidings.model.endpoint import rate_of
from tidings.model.faults import metadata_faults, rate_faults, text_faults
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order

TAG: Final = "Application"
_RATE_WRONG: Final = {
    "rateLimit": "Application rate limits must be at least 1 if set",
    "throttleRate": "Application throttle rate must be at least 1 if set",
}


class ApplicationIn(In, kw_only=True):
    """The application to create, or its new content."""

    name: Annotated[str, TITLE]
    """The name of the application, for people. At least one character and at most 4,096 bytes."""
    uid: Annotated[str | None, UID] = None
    """An identifier of your choice, unique among applications, without the prefix `app_`. Paths accept it as an id."""
    throttle_rate: Annotated[int | None, RATE] = None
    rate_limit: Annotated[int | None, OLD_RATE] = None
    metadata: Annotated[Metadata | None, METADATA] = None

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from _name_faults(self.name)
        yield from text.uid_faults("uid", self.uid, ids.APP)
        yield from rate_faults({"rateLimit": self.rate_limit, "throttleRate": self.throttle_rate}, _RATE_WRONG)
        yield from metadata_faults(self.metadata)

    def faults_inside(self) -> Iterator[Fault]:
        """Return the faults of an application that is a member of another body."""
        return (Fault(("body", "application", *each.loc[1:]), each.msg, each.type) for each in self.faults())

    def drafted(self) -> AppDraft:
        """Return the application that the body describes."""
        return AppDraft(
            name=self.name,
            uid=self.uid,
            throttle_rate=rate_of(self.throttle_rate, self.rate_limit),
            metadata=self.metadata or {},
        )

    def drafted_for(self, ref: str) -> AppDraft:
        """Return the application to create if none exists; raise `AppError` unless the path has the body's uid."""
        place = ("body", "application", "uid")
        if self.uid is None:
            raise invalid(Fault(place, "Application UID not set in body", "application_uid_missing"))
        if self.uid != ref:
            raise invalid(Fault(place, "Application UID in the path and body must match", "application_uid_mismatch"))
        return self.drafted()


class ApplicationPatch(In, kw_only=True):
    """The changes to an application. An absent property stays as it is, and null clears one that may be null."""

    name: Annotated[str | UnsetType, TITLE] = UNSET
    """The new name, for people. At least one character and at most 4,096 bytes."""
    uid: Annotated[str | UnsetType | None, UID] = UNSET
    """The new identifier of your choice, unique among applications, without the prefix `app_`. Null removes it."""
    throttle_rate: Annotated[int | UnsetType | None, NEW_RATE] = UNSET
    rate_limit: Annotated[int | UnsetType | None, OLD_RATE] = UNSET
    metadata: Annotated[Metadata | UnsetType | None, METADATA] = UNSET

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if self.name is not UNSET:
            yield from _name_faults(self.name)
        yield from text.uid_faults("uid", given(self.uid), ids.APP)
        rates = {"rateLimit": given(self.rate_limit), "throttleRate": given(self.throttle_rate)}
        yield from rate_faults(rates, dict.fromkeys(rates, _RATE_WRONG["rateLimit"]))
        yield from metadata_faults(given(self.metadata))

    def applied(self, app: App) -> App:
        """Return an application with the changes."""
        return replace(
            app,
            name=app.name if self.name is UNSET else self.name,
            uid=app.uid if self.uid is UNSET else self.uid,
            throttle_rate=patched_rate(app.throttle_rate, self.throttle_rate, self.rate_limit),
            metadata=app.metadata if self.metadata is UNSET else self.metadata or {},
        )


def _name_faults(name: str) -> Iterator[Fault]:
    if not name:
        yield Fault(("body", "name"), "Application names must be at least one character")
    yield from text_faults("name", name)


class ApplicationOut(Out, kw_only=True):
    """An application."""

    name: str
    """The name of the application, for people."""
    id: AppId
    created_at: CreatedAt
    updated_at: UpdatedAt
    metadata: Metadata
    """Key-value pairs of your choice."""
    throttle_rate: Rate | None
    """Maximum number of messages per second to all its endpoints together. Null means no limit."""
    uid: str | UnsetType = UNSET
    """The identifier that the organization chose. Absent if there is none."""
    rate_limit: Rate | UnsetType = UNSET
    """The former name of `throttleRate`. Absent if there is no limit."""


class AppCreateQuery(Query, kw_only=True):
    """How to create an application."""

    get_if_exists: Flag = False
    """Return the application that has this uid, with 200, instead of responding 409. False by default."""


class AppListQuery(Query, kw_only=True):
    """Filters and page of a list of applications."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: AppIterator = None
    order: Direction = None
    """The sort order by creation: `ascending`, the default, lists the oldest application first."""
    exclude_apps_with_no_endpoints: Flag = False
    """Leave out applications without endpoints."""
    exclude_apps_with_disabled_endpoints: Flag = False
    """Leave out applications that have endpoints, all of them disabled."""
    exclude_apps_with_svix_play_endpoints: Flag = False
    """Leave out applications that have endpoints, all of them on the Svix playground."""

    @property
    def without(self) -> tuple[AppExclusion, ...]:
        """The reasons for which applications are left out of the list."""
        requested = {
            AppExclusion.ENDPOINTS: self.exclude_apps_with_no_endpoints,
            AppExclusion.ENABLED: self.exclude_apps_with_disabled_endpoints,
            AppExclusion.REAL: self.exclude_apps_with_svix_play_endpoints,
        }
        return tuple(lacking for lacking, is_requested in requested.items() if is_requested)


async def create(call: Call[AppCreateQuery, ApplicationIn]) -> Response:
    """Create an application.

    An application whose uid is in use is a 409; with `get_if_exists` the response is that application, with 200.
    """
    return await apps.create(
        call.context.services,
        call.principal.org_id,
        call.body.drafted(),
        get_if_exists=call.query.get_if_exists,
        idempotency_key=call.idempotency_key,
        render=lambda settled: json_response(201 if settled.is_new else 200, render_app(settled.app)),
    )


async def get(call: Call[Query, Nothing]) -> Response:
    """Return an application, by its id or uid."""
    return json_response(200, render_app(call.app))


async def put(call: Call[Query, ApplicationIn]) -> Response:
    """Replace an application, or create it if there is none with the id or uid in the path.

    A new application gets the uid in the body, not that in the path. A uid in use by another application is a 409.
    """
    return await apps.put(
        call.context.services,
        call.principal.org_id,
        call.path["app_id"],
        call.body.drafted(),
        render=lambda settled: json_response(201 if settled.is_new else 200, render_app(settled.app)),
    )


async def patch(call: Call[Query, ApplicationPatch]) -> Response:
    """Update the given properties of an application.

    An absent property stays as it is, and null clears one that may be null. A uid in use by another application is
    a 409.
    """
    return await apps.change(
        call.context.services, call.app, call.body.applied, render=lambda app: json_response(200, render_app(app))
    )


async def delete(call: Call[Query, Nothing]) -> Response:
    """Delete an application with its endpoints and messages.

    Its pending deliveries are discarded, and its uid can be used again.
    """
    await apps.delete(call.context.services, call.app)
    return Response(204)


async def page(call: Call[AppListQuery, Nothing]) -> Response:
    """Return a page of the organization's applications, oldest first by default."""
    query = call.query
    cursor = Cursor(query.order or Order.ASCENDING, query.limit, query.iterator)
    return listing(await apps.page(call.context.services, call.principal.org_id, cursor, query.without), render_app)


def render_app(app: App) -> ApplicationOut:
    """Render an application as a response body."""
    return ApplicationOut(
        name=app.name,
        id=app.id,
        created_at=format_timestamp(app.created_at),
        updated_at=format_timestamp(app.updated_at),
        metadata=dict(app.metadata),
        throttle_rate=app.throttle_rate,
        uid=UNSET if app.uid is None else app.uid,
        rate_limit=UNSET if app.throttle_rate is None else app.throttle_rate,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app",
        operation="v1.application.list",
        tag=TAG,
        summary="List applications",
        access=Access.ORG,
        query=AppListQuery,
        body=Nothing,
        handler=page,
        responses={200: ListResponse[ApplicationOut]},
    ),
    Route(
        method="POST",
        path="/app",
        operation="v1.application.create",
        tag=TAG,
        summary="Create an application",
        access=Access.ORG,
        query=AppCreateQuery,
        body=ApplicationIn,
        handler=create,
        responses={200: ApplicationOut, 201: ApplicationOut},
    ),
    Route(
        method="GET",
        path="/app/{app_id}",
        operation="v1.application.get",
        tag=TAG,
        summary="Get an application",
        access=Access.APP,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: ApplicationOut},
    ),
    Route(
        method="PUT",
        path="/app/{app_id}",
        operation="v1.application.upsert",
        tag=TAG,
        summary="Replace an application, or create it",
        access=Access.ORG,
        names_app=False,
        query=Query,
        body=ApplicationIn,
        handler=put,
        responses={200: ApplicationOut, 201: ApplicationOut},
    ),
    Route(
        method="PATCH",
        path="/app/{app_id}",
        operation="v1.application.patch",
        tag=TAG,
        summary="Update parts of an application",
        access=Access.ORG,
        query=Query,
        body=ApplicationPatch,
        handler=patch,
        responses={200: ApplicationOut},
    ),
    Route(
        method="DELETE",
        path="/app/{app_id}",
        operation="v1.application.delete",
        tag=TAG,
        summary="Delete an application",
        access=Access.ORG,
        query=Query,
        body=Nothing,
        handler=delete,
        responses={204: None},
    ),
)
