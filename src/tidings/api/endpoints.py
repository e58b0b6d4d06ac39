# SPDX-License-Identifier: MIT
"""Endpoints over HTTP."""

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tidings import ids
from tidings.api.endpoint_detail import EndpointDetailOut, detail_of
from tidings.api.fields import (
    METADATA,
    RATE,
    UID,
    URL,
    Channel,
    Metadata,
    Name,
    Rate,
    metadata_faults,
    rate_faults,
    set_faults,
    unique,
)
from tidings.api.query import Direction, EndpointIterator, Limit, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import In, ListResponse, Moment, Out, answer, listing, moment_out
from tidings.core import endpoints
from tidings.core.receipts import Answer
from tidings.errors import Fault, invalid
from tidings.model import signature, text
from tidings.model.endpoint import CHANNELS_MAX, Endpoint, EndpointDraft, header_faults, rate_of
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order
from tidings.model.url import WrongUrl, normalised

TAG: Final = "Endpoint"
_RATE_WRONG: Final = {
    "rateLimit": "Endpoint rate limits must be at least one if set",
    "throttleRate": "Endpoint throttle rate must be at least one if set",
}
_NO_TYPES: Final = "eventTypes can't be empty, it must have at least one item."
_CHANNELS: Final = "Channels must have at least 1 and at most 10 items, or be set to null."
_HTTPS: Final = "Endpoint URL schemes must be https when endpoint_https_only is set."
_VERSION_MAX: Final = 65_535
_SET: Final = {"uniqueItems": True, "minItems": 1}


class EndpointIn(In, kw_only=True):
    """An endpoint to be made."""

    url: Annotated[str, URL]
    description: str = ""
    throttle_rate: Annotated[int | None, RATE] = None
    rate_limit: Annotated[int | None, Meta(extra_json_schema={"deprecated": True})] = None
    uid: Annotated[str | None, UID] = None
    version: Annotated[int | None, Meta(extra_json_schema={"minimum": 1, "deprecated": True})] = None
    disabled: bool = False
    event_types: Annotated[list[Name] | None, Meta(extra_json_schema=_SET)] = None
    filter_types: Annotated[list[Name] | None, Meta(extra_json_schema={**_SET, "deprecated": True})] = None
    channels: Annotated[list[Channel] | None, Meta(extra_json_schema={**_SET, "maxItems": CHANNELS_MAX})] = None
    secret: Annotated[str | None, Meta(extra_json_schema={"pattern": "^whsec_[a-zA-Z0-9+/=]{32,100}$"})] = None
    metadata: Annotated[Metadata | None, METADATA] = None
    headers: dict[str, str] | None = None

    @property
    def subscribed(self) -> list[str] | None:
        """The event types, under whichever of their two names they came."""
        return self.filter_types if self.event_types is None else self.event_types

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong beyond the types of the members."""
        yield from _url_faults(self.url)
        wrong = text.wrong_words(self.description)
        if wrong is not None:
            yield Fault(("body", "description"), wrong)
        yield from text.uid_faults("uid", self.uid, ids.ENDPOINT)
        yield from rate_faults({"rateLimit": self.rate_limit, "throttleRate": self.throttle_rate}, _RATE_WRONG)
        yield from _version_faults(self.version)
        yield from self._set_faults()
        yield from _secret_faults(self.secret)
        yield from metadata_faults(self.metadata)
        yield from header_faults(self.headers or {})

    def _set_faults(self) -> Iterator[Fault]:
        if self.subscribed is not None:
            if not self.subscribed:
                yield Fault(("body", "eventTypes"), _NO_TYPES)
            yield from set_faults("eventTypes", map(text.wrong_name, self.subscribed))
        if self.channels is not None:
            if not 1 <= len(set(self.channels)) <= CHANNELS_MAX:
                yield Fault(("body", "channels"), _CHANNELS)
            yield from set_faults("channels", map(text.wrong_channel, self.channels))


def _url_faults(url: str) -> Iterator[Fault]:
    try:
        normalised(url)
    except WrongUrl as error:
        yield Fault(("body", "url"), str(error), "value_error" if error.is_scheme else "value_error.jsondecode")


def _version_faults(version: int | None) -> Iterator[Fault]:
    if version == 0:
        yield Fault(("body", "version"), "Endpoint versions must be at least one if set")
    elif version is not None and not 0 < version <= _VERSION_MAX:
        yield Fault(("body", "version"), f"invalid value: integer `{version}`, expected u16", "value_error.jsondecode")


def _secret_faults(secret: str | None) -> Iterator[Fault]:
    try:
        _ = None if secret is None else signature.parse_secret(secret)
    except ValueError as error:
        is_length = str(error) == "secret length invalid"
        yield Fault(("body", "secret"), str(error), "value_error" if is_length else "value_error.jsondecode")


class EndpointOut(Out, kw_only=True):
    """An endpoint."""

    id: str
    url: Annotated[str, URL]
    description: str
    version: int
    disabled: bool
    event_types: tuple[Name, ...] | None
    filter_types: tuple[Name, ...] | None
    channels: tuple[Channel, ...] | None
    uid: str | None
    rate_limit: int | None
    throttle_rate: Rate | None
    metadata: Metadata
    created_at: Moment
    updated_at: Moment
    x: EndpointDetailOut | UnsetType = UNSET


class EndpointSecretOut(Out, kw_only=True):
    """What a receiver checks signatures with."""

    key: str


class ListQuery(Query, kw_only=True):
    """Which endpoints are wanted."""

    limit: Limit = LIMIT_DEFAULT
    iterator: EndpointIterator = None
    order: Direction = None


async def create(call: Call[Query, EndpointIn]) -> Answer:
    """Make an endpoint."""
    draft = _drafted(call.body)
    if call.context.https_only and not draft.url.startswith("https:"):
        raise invalid(Fault(("body", "url"), _HTTPS))
    return await endpoints.create(
        call.context.desk,
        call.app,
        draft,
        receipt=call.receipt,
        render=lambda endpoint: answer(201, shown(endpoint)),
    )


def _drafted(body: EndpointIn) -> EndpointDraft:
    return EndpointDraft(
        url=normalised(body.url),
        description=body.description,
        uid=body.uid,
        version=body.version or 1,
        disabled=body.disabled,
        event_types=unique(body.subscribed),
        channels=unique(body.channels),
        throttle_rate=rate_of(body.throttle_rate, body.rate_limit),
        metadata=body.metadata or {},
        headers=body.headers or {},
        secret=None if body.secret is None else signature.parse_secret(body.secret).raw,
    )


async def get(call: Call[Query, Nothing]) -> Answer:
    """Tell of an endpoint."""
    return answer(200, shown(await endpoints.get(call.context.desk, call.app, call.path["endpoint_id"])))


async def secret(call: Call[Query, Nothing]) -> Answer:
    """Tell what a receiver checks signatures with."""
    key = await endpoints.secret(call.context.desk, call.app, call.path["endpoint_id"])
    return answer(200, EndpointSecretOut(key=key))


async def page(call: Call[ListQuery, Nothing]) -> Answer:
    """Tell of an application's endpoints, newest first."""
    query = call.query
    cursor = Cursor(query.order or Order.DESCENDING, query.limit, query.iterator)
    return listing(await endpoints.page(call.context.desk, call.app, cursor), shown)


def shown(endpoint: Endpoint) -> EndpointOut:
    """Return an endpoint as it goes over the wire."""
    return EndpointOut(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        version=endpoint.version,
        disabled=endpoint.disabled,
        event_types=endpoint.event_types,
        filter_types=endpoint.event_types,
        channels=endpoint.channels,
        uid=endpoint.uid,
        rate_limit=endpoint.throttle_rate,
        throttle_rate=endpoint.throttle_rate,
        metadata=dict(endpoint.metadata),
        created_at=moment_out(endpoint.created_at),
        updated_at=moment_out(endpoint.updated_at),
        x=detail_of(endpoint),
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/endpoint",
        operation="v1.endpoint.list",
        tag=TAG,
        summary="List an application's endpoints",
        access=Access.APP,
        query=ListQuery,
        body=Nothing,
        handler=page,
        answers={200: ListResponse[EndpointOut]},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/endpoint",
        operation="v1.endpoint.create",
        tag=TAG,
        summary="Make an endpoint",
        access=Access.APP,
        query=Query,
        body=EndpointIn,
        handler=create,
        answers={201: EndpointOut},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}",
        operation="v1.endpoint.get",
        tag=TAG,
        summary="Get an endpoint by its id or uid",
        access=Access.APP,
        query=Query,
        body=Nothing,
        handler=get,
        answers={200: EndpointOut},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}/secret",
        operation="v1.endpoint.get-secret",
        tag=TAG,
        summary="Get the secret with which an endpoint's receiver checks signatures",
        access=Access.APP,
        query=Query,
        body=Nothing,
        handler=secret,
        answers={200: EndpointSecretOut},
    ),
)
