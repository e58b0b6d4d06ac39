# SPDX-License-Identifier: MIT
"""Applications over HTTP."""

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tidings import ids
from tidings.api.fields import METADATA, RATE, UID, Metadata, Rate, metadata_faults, rate_faults
from tidings.api.query import AppIterator, Direction, Flag, Limit, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import In, ListResponse, Moment, Out, answer, listing, moment_out
from tidings.core import apps
from tidings.core.receipts import Answer
from tidings.errors import Fault, invalid
from tidings.model import text
from tidings.model.app import App, AppDraft
from tidings.model.endpoint import rate_of
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order

TAG: Final = "Application"
_RATE_WRONG: Final = {
    "rateLimit": "Application rate limits must be at least 1 if set",
    "throttleRate": "Application throttle rate must be at least 1 if set",
}


class ApplicationIn(In, kw_only=True):
    """An application to be made."""

    name: Annotated[str, Meta(extra_json_schema={"minLength": 1})]
    uid: Annotated[str | None, UID] = None
    throttle_rate: Annotated[int | None, RATE] = None
    rate_limit: Annotated[int | None, Meta(extra_json_schema={"deprecated": True})] = None
    metadata: Annotated[Metadata | None, METADATA] = None

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong beyond the types of the members."""
        if not self.name:
            yield Fault(("body", "name"), "Application names must be at least one character")
        wrong = text.wrong_words(self.name)
        if wrong is not None:
            yield Fault(("body", "name"), wrong)
        yield from text.uid_faults("uid", self.uid, ids.APP)
        yield from rate_faults({"rateLimit": self.rate_limit, "throttleRate": self.throttle_rate}, _RATE_WRONG)
        yield from metadata_faults(self.metadata)

    def drafted(self) -> AppDraft:
        """Return the application that the body speaks of."""
        return AppDraft(
            name=self.name,
            uid=self.uid,
            throttle_rate=rate_of(self.throttle_rate, self.rate_limit),
            metadata=self.metadata or {},
        )

    def drafted_for(self, ref: str) -> AppDraft:
        """Return the application to be made in passing, for a path that names it; raises what is wrong with it."""
        place = ("body", "application", "uid")
        if self.uid is None:
            raise invalid(Fault(place, "Application UID not set in body", "application_uid_missing"))
        if self.uid != ref:
            raise invalid(Fault(place, "Application UID in the path and body must match", "application_uid_mismatch"))
        faults = [Fault(("body", "application", *fault.loc[1:]), fault.msg, fault.type) for fault in self.faults()]
        if faults:
            raise invalid(*faults)
        return self.drafted()


class ApplicationOut(Out, kw_only=True):
    """An application."""

    name: str
    id: str
    created_at: Moment
    updated_at: Moment
    metadata: Metadata
    throttle_rate: Rate | None
    uid: str | UnsetType = UNSET
    rate_limit: int | UnsetType = UNSET


class CreateQuery(Query, kw_only=True):
    """How an application is made."""

    get_if_exists: Flag = False


class ListQuery(Query, kw_only=True):
    """Which applications are wanted."""

    limit: Limit = LIMIT_DEFAULT
    iterator: AppIterator = None
    order: Direction = None


async def create(call: Call[CreateQuery, ApplicationIn]) -> Answer:
    """Make an application, or return the one that has the uid."""
    return await apps.create(
        call.context.desk,
        call.principal.org_id,
        call.body.drafted(),
        get_if_exists=call.query.get_if_exists,
        receipt=call.receipt,
        render=lambda settled: answer(201 if settled.is_new else 200, shown(settled.app)),
    )


async def get(call: Call[Query, Nothing]) -> Answer:
    """Tell of an application."""
    return answer(200, shown(call.app))


async def page(call: Call[ListQuery, Nothing]) -> Answer:
    """Tell of the organisation's applications, oldest first."""
    query = call.query
    cursor = Cursor(query.order or Order.ASCENDING, query.limit, query.iterator)
    return listing(await apps.page(call.context.desk, call.principal.org_id, cursor), shown)


def shown(app: App) -> ApplicationOut:
    """Return an application as it goes over the wire."""
    return ApplicationOut(
        name=app.name,
        id=app.id,
        created_at=moment_out(app.created_at),
        updated_at=moment_out(app.updated_at),
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
        summary="List the organisation's applications",
        access=Access.ORG,
        query=ListQuery,
        body=Nothing,
        handler=page,
        answers={200: ListResponse[ApplicationOut]},
    ),
    Route(
        method="POST",
        path="/app",
        operation="v1.application.create",
        tag=TAG,
        summary="Make an application",
        access=Access.ORG,
        query=CreateQuery,
        body=ApplicationIn,
        handler=create,
        answers={200: ApplicationOut, 201: ApplicationOut},
    ),
    Route(
        method="GET",
        path="/app/{app_id}",
        operation="v1.application.get",
        tag=TAG,
        summary="Get an application by its id or uid",
        access=Access.APP,
        query=Query,
        body=Nothing,
        handler=get,
        answers={200: ApplicationOut},
    ),
)
