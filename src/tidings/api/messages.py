# SPDX-License-Identifier: MIT
"""Messages over HTTP. `api.intake` creates them without a web framework; the table here describes that route."""

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings import ids
from tidings.api.apps import ApplicationIn
from tidings.api.fields import UID, Channel, MessageId, Name, Payload, Tag
from tidings.api.query import ChannelParameter, Flag, Instant, MessageIterator, Names, PageLimit, Query, TagParameter
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import (
    In,
    ListResponse,
    Out,
    Timestamp,
    encode,
    format_timestamp,
    is_object,
    json_response,
    listing,
    parse_timestamp,
)
from tidings.clock import Clock
from tidings.core import messages
from tidings.core.idempotency import Response
from tidings.errors import Fault, invalid
from tidings.model import surrogates, text
from tidings.model.faults import set_faults, unique
from tidings.model.message import (
    CHANNELS_MAX,
    DELAY_MS,
    RETENTION_DAYS,
    RETENTION_HOURS_MAX,
    RETENTION_MS,
    TAGS_MAX,
    AcceptedMessage,
    Draft,
    Message,
    MessageExtras,
    MessageFilter,
    retention_ms,
)
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order
from tidings.model.surrogates import LoneSurrogate

TAG: Final = "Message"
EXPIRED: Final = msgspec.Raw(b'{"expired":true}')
"""Replaces a payload that has been deleted."""
WITHHELD: Final = msgspec.Raw(b"{}")
"""Replaces a payload that the caller did not request."""

_DUPLICATE_PAYLOAD: Final = "duplicate field `payload`"
_CHANNELS: Final = "Channels must have at least 1 and at most 10 items, or be set to null."
_TAGS: Final = "Tags must have at most 5 items, or be set to null."
_RETENTION: Final = "Validation error"
_RETENTIONS: Final = "Only one of payloadRetentionPeriod and payloadRetentionHours may be set."
_DELAY: Final = "deliverAt must be at least one minute and at most 24 hours in the future."
_RAW_AT: Final = ("body", "transformationsParams", "rawPayload")
_NO_EXTRAS: Final = MessageExtras()
CHANNEL_SET: Final = {"uniqueItems": True, "minItems": 1, "maxItems": CHANNELS_MAX}
_ALIAS: Final = Meta(extra_json_schema={"x-alias": "payload"})
_REQUIRED: Final = Meta(extra_json_schema={"x-required": True})


class MessageIn(In, kw_only=True):
    """The message to create."""

    event_type: Name
    """The event type of the message. It need not exist."""
    payload: Annotated[Payload | UnsetType, _REQUIRED] = UNSET
    """The payload to deliver: a JSON object, sent byte for byte."""
    event_id: Annotated[str | None, UID] = None
    """An identifier of your choice, unique in the application, without the prefix `msg_`. Paths accept it as an id."""
    channels: Annotated[list[Channel] | None, Meta(extra_json_schema=CHANNEL_SET)] = None
    """The channels of the message, from 1 to 10. Null, the default, means none."""
    tags: Annotated[list[Tag] | None, Meta(extra_json_schema={"uniqueItems": True, "maxItems": TAGS_MAX})] = None
    """Tags to filter messages and attempts by, at most 5. Null, the default, means none."""
    payload_retention_period: Annotated[
        int | None, Meta(extra_json_schema={"minimum": 1, "maximum": RETENTION_DAYS, "format": "int64"})
    ] = None
    """How long to keep the payload, in days, from 1 to 90. 90 by default."""
    payload_retention_hours: Annotated[
        int | None, Meta(extra_json_schema={"minimum": 1, "maximum": RETENTION_HOURS_MAX, "format": "int64"})
    ] = None
    """How long to keep the payload, in hours, from 1 to 2,160. Only one of the two units may be given."""
    deliver_at: Timestamp | None = None
    """When to make the first attempt: one minute to 24 hours from now. Immediately by default."""
    transformations_params: dict[str, msgspec.Raw] | None = None
    """Only `rawPayload` has an effect: a text that is sent byte for byte in place of `payload`."""
    application: ApplicationIn | None = None
    """The application to create if none has the uid in the path. Its `uid` must then equal that in the path."""
    data: Annotated[msgspec.Raw | UnsetType, _ALIAS] = UNSET

    @property
    def content(self) -> bytes:
        """The bytes of the payload, from either of its two names."""
        raw = self.data if self.payload is UNSET else self.payload
        return b"" if raw is UNSET else bytes(raw)

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from set_faults("eventType", iter([text.name_error(self.event_type)]))
        yield from self._payload_faults()
        yield from text.uid_faults("eventId", self.event_id, ids.MESSAGE)
        if self.channels is not None:
            yield from channel_faults(self.channels)
        if self.tags is not None:
            if len(set(self.tags)) > TAGS_MAX:
                yield Fault(("body", "tags"), _TAGS)
            yield from set_faults("tags", map(text.tag_error, self.tags))
        yield from self._retention_faults()
        if self.application is not None:
            yield from self.application.faults_inside()

    def _payload_faults(self) -> Iterator[Fault]:
        if self.payload is UNSET and self.data is UNSET:
            yield Fault(("body", "payload"), "missing field `payload`", "value_error.jsondecode")
        elif self.payload is not UNSET and self.data is not UNSET:
            yield Fault(("body", "payload"), _DUPLICATE_PAYLOAD, "value_error.jsondecode")
        elif not self.content.startswith(b"{"):
            yield Fault(("body", "payload"), "Payload must be an object.")

    def _retention_faults(self) -> Iterator[Fault]:
        days, hours = self.payload_retention_period, self.payload_retention_hours
        if days is not None and not 1 <= days <= RETENTION_DAYS:
            yield Fault(("body", "payloadRetentionPeriod"), _RETENTION)
        if hours is not None and not 1 <= hours <= RETENTION_HOURS_MAX:
            yield Fault(("body", "payloadRetentionHours"), _RETENTION)
        if days is not None and hours is not None:
            yield Fault(("body", "payloadRetentionHours"), _RETENTIONS)

    def _common_draft(self) -> Draft | None:
        """Return the message if its body has only common members and they are valid; None needs the full validation."""
        raw, channels = self.payload, self.channels
        if (
            raw is UNSET
            or self.data is not UNSET
            or self.event_id is not None
            or self.tags is not None
            or self.payload_retention_period is not None
            or self.payload_retention_hours is not None
            or self.deliver_at is not None
            or self.transformations_params is not None
            or self.application is not None
        ):
            return None
        payload = bytes(raw)
        if payload[:1] != b"{" or text.NAME.fullmatch(self.event_type) is None:
            return None
        if channels is None:
            return Draft(self.event_type, payload, None, None, RETENTION_MS)
        return (
            Draft(self.event_type, payload, None, unique(channels), RETENTION_MS)
            if _are_valid_channels(channels)
            else None
        )

    def drafted(self, clock: Clock) -> Draft:
        """Return the message that the body describes; raise `AppError` if it breaks a rule."""
        draft = self._common_draft()
        if draft is not None:
            return draft
        faults = tuple(self.faults())
        if faults:
            raise invalid(*faults)
        deliver_at = None if self.deliver_at is None else _parse_deliver_at(self.deliver_at, clock.now())
        payload, is_raw = self._delivered_payload()
        extras = MessageExtras(unique(self.tags or None), deliver_at, is_raw)
        return Draft(
            event_type=self.event_type,
            payload=payload,
            event_id=self.event_id,
            channels=unique(self.channels),
            retention_ms=retention_ms(self.payload_retention_period, self.payload_retention_hours),
            extras=None if extras == _NO_EXTRAS else extras,
        )

    def _delivered_payload(self) -> tuple[bytes, bool]:
        """Return the bytes to send, and whether they are anything other than a JSON object."""
        given = (self.transformations_params or {}).get("rawPayload")
        if given is None or bytes(given) == b"null":
            return self.content, False
        try:
            payload = msgspec.json.decode(given, type=str).encode()
        except (msgspec.MsgspecError, UnicodeError) as error:
            wrong = LoneSurrogate() if surrogates.has_lone_surrogate(bytes(given)) else error
            raise invalid(Fault(_RAW_AT, str(wrong), "value_error.jsondecode")) from error
        return payload, not is_object(payload)


def channel_faults(channels: list[str]) -> Iterator[Fault]:
    """Yield the faults of the channels of a message."""
    if not 1 <= len(set(channels)) <= CHANNELS_MAX:
        yield Fault(("body", "channels"), _CHANNELS)
    yield from set_faults("channels", map(text.channel_error, channels))


def _parse_deliver_at(timestamp: str, now: int) -> int:
    """Parse the time of the first attempt; raise `invalid` if it is too soon or too late."""
    deliver_at = parse_timestamp(timestamp, "deliverAt")
    if deliver_at - now not in DELAY_MS:
        raise invalid(Fault(("body", "deliverAt"), _DELAY))
    return deliver_at


def _are_valid_channels(channels: list[str]) -> bool:
    if len(channels) == 1:
        return text.CHANNEL.fullmatch(channels[0]) is not None
    return 0 < len(channels) <= CHANNELS_MAX and all(map(text.CHANNEL.fullmatch, channels))


class MessageOut(Out, kw_only=True):
    """A message."""

    event_id: str | None
    """The identifier that the caller chose. Null if there is none."""
    event_type: str
    """The event type of the message."""
    payload: Payload
    """The payload: `{}` if it is not included, `{"expired": true}` once it is deleted, `{"raw": …}` if not an object.
    """
    channels: tuple[Channel, ...] | None
    """The channels of the message. Null if there are none."""
    id: MessageId
    timestamp: Timestamp
    """When the message was created."""
    tags: tuple[Tag, ...] | UnsetType | None = UNSET
    """The tags of the message. Absent if there are none."""
    deliver_at: Timestamp | UnsetType | None = UNSET
    """When the first attempt is due. Absent if the message was not delayed."""


class ContentQuery(Query, kw_only=True):
    """Whether to include the payload."""

    with_content: Flag = True
    """Include the payload. Otherwise `payload` is an empty object."""


class MessageListQuery(Query, kw_only=True):
    """Filters and page of a list of messages."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: MessageIterator = None
    channel: ChannelParameter = None
    before: Instant = None
    """Only messages created before this timestamp. The list covers the 90 days before it."""
    after: Instant = None
    """Only messages created at or after this timestamp. Without `before` the list covers the 90 days after it."""
    with_content: Flag = True
    """Include the payloads. Otherwise `payload` is an empty object."""
    tag: TagParameter = None
    event_types: Names = ()


async def get(call: Call[ContentQuery, Nothing]) -> Response:
    """Return a message, by its id or event id."""
    with_content = call.query.with_content
    found = await messages.get(call.context.services, call.app, call.path["msg_id"], with_payload=with_content)
    return json_response(200, render_message(found, with_content=with_content))


async def page(call: Call[MessageListQuery, Nothing]) -> Response:
    """Return a page of an application's messages of up to 90 days, newest first."""
    query = call.query
    cursor = Cursor(Order.DESCENDING, query.limit, query.iterator, query.before, query.after)
    filters = MessageFilter(event_types=query.event_types, channel=query.channel, tag=query.tag)
    found = await messages.page(call.context.services, call.app, cursor, filters, with_payload=query.with_content)
    return listing(found, lambda message: render_message(message, with_content=query.with_content))


async def create(call: Call[ContentQuery, MessageIn]) -> Response:
    """Accept a message and deliver it to every endpoint of the application that subscribes to it.

    The response is sent once the message and its deliveries are stored. An event id in use is a 409.
    """
    raise AssertionError(call)


def render_message(message: Message, *, with_content: bool) -> MessageOut:
    """Render a message as a response body."""
    return MessageOut(
        event_id=message.event_id,
        event_type=message.event_type,
        payload=content(message.payload, is_raw=message.is_raw) if with_content else WITHHELD,
        channels=message.channels,
        id=message.id,
        timestamp=format_timestamp(ids.timestamp_of(message.id)),
        tags=UNSET if message.tags is None else message.tags,
        deliver_at=UNSET if message.deliver_at is None else format_timestamp(message.deliver_at),
    )


def render_accepted(accepted: AcceptedMessage, *, with_content: bool) -> MessageOut:
    """Render a message as the response body for its sender."""
    extras = accepted.extras or _NO_EXTRAS
    return MessageOut(
        event_id=accepted.event_id,
        event_type=accepted.event_type,
        payload=content(accepted.payload, is_raw=extras.is_raw) if with_content else WITHHELD,
        channels=accepted.channels,
        id=accepted.id,
        timestamp=format_timestamp(ids.timestamp_of(accepted.id)),
        tags=UNSET if extras.tags is None else extras.tags,
        deliver_at=UNSET if extras.deliver_at is None else format_timestamp(extras.deliver_at),
    )


def content(payload: bytes | None, *, is_raw: bool) -> msgspec.Raw:
    """Return the payload for a response, which is always an object: raw text becomes its member `raw`."""
    if payload is None:
        return EXPIRED
    return msgspec.Raw(encode({"raw": payload.decode()}) if is_raw else payload)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/msg",
        operation="v1.message.list",
        tag=TAG,
        summary="List the messages of an application",
        access=Access.APP,
        query=MessageListQuery,
        body=Nothing,
        handler=page,
        responses={200: ListResponse[MessageOut]},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/msg",
        operation="v1.message.create",
        tag=TAG,
        summary="Create a message",
        access=Access.ORG,
        query=ContentQuery,
        body=MessageIn,
        handler=create,
        responses={202: MessageOut},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/msg/{msg_id}",
        operation="v1.message.get",
        tag=TAG,
        summary="Get a message",
        access=Access.APP,
        query=ContentQuery,
        body=Nothing,
        handler=get,
        responses={200: MessageOut},
    ),
)
