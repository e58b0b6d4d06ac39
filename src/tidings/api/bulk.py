# SPDX-License-Identifier: MIT
"""Tasks for whole applications over HTTP: usage, subscriptions, broadcasts, payload deletion."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from msgspec import Meta

from tidings.api.fields import REFERENCES_MAX, UID, Channel, Name, Payload, count_faults, set_faults, unique
from tidings.api.messages import MessageIn
from tidings.api.query import DryRunQuery
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.tasks import StartedOut, started
from tidings.api.wire import In, Timestamp, parse_timestamp
from tidings.core import broadcasts, purges, usage
from tidings.core.idempotency import Response
from tidings.core.usage import UsageFilters
from tidings.errors import Fault
from tidings.model import text
from tidings.model.message import CHANNELS_MAX, RETENTION_DAYS, RETENTION_HOURS_MAX
from tidings.model.task import Task

Reference = Annotated[str, UID]
_UNIQUE: Final = Meta(extra_json_schema={"uniqueItems": True})
_APPS: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": REFERENCES_MAX})
_SET: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": CHANNELS_MAX})
_DAYS: Final = Meta(extra_json_schema={"minimum": 1, "maximum": RETENTION_DAYS, "format": "int64"})
_HOURS: Final = Meta(extra_json_schema={"minimum": 1, "maximum": RETENTION_HOURS_MAX, "format": "int64"})


class AppUsageStatsIn(In, kw_only=True):
    """The time range and the applications to count."""

    since: Timestamp
    """The start of the range, inclusive, at most five minutes in the future."""
    until: Timestamp
    """The end of the range, inclusive and not before `since`. A later time than now means now."""
    app_ids: Annotated[list[Reference] | None, _APPS] = None
    """The ids or uids of the applications, at most 1,000. Null, the default, means all."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from count_faults("appIds", self.app_ids, REFERENCES_MAX)
        yield from set_faults("appIds", map(text.name_error, self.app_ids or ()))


class AppUsageStatsOut(StartedOut, kw_only=True):
    """The background task that counts attempts."""

    unresolved_app_ids: Annotated[list[Reference], _UNIQUE]
    """The ids and uids in the request that match no application."""


class AggregateEventTypesOut(StartedOut, kw_only=True):
    """The background task that lists subscriptions."""


class ExpungeAllContentsOut(StartedOut, kw_only=True):
    """The background task that deletes payloads."""


class MessageBroadcastIn(In, kw_only=True):
    """The message to create in every application."""

    event_type: Name
    """The event type of the message. It need not exist."""
    payload: Payload
    """The payload to deliver."""
    event_id: Annotated[str | None, UID] = None
    """An identifier of your choice, unique in each application, without the prefix `msg_`."""
    channels: Annotated[list[Channel] | None, _SET] = None
    """The channels of the message, from 1 to 10. Null, the default, means none."""
    payload_retention_period: Annotated[int | None, _DAYS] = None
    """How long to keep the payload, in days, from 1 to 90. 90 by default."""
    payload_retention_hours: Annotated[int | None, _HOURS] = None
    """How long to keep the payload, in hours, from 1 to 2,160. Only one of the two units may be given."""

    def single(self) -> MessageIn:
        """Return the message as the body of a request for one application."""
        return MessageIn(
            event_type=self.event_type,
            payload=self.payload,
            event_id=self.event_id,
            channels=self.channels,
            payload_retention_period=self.payload_retention_period,
            payload_retention_hours=self.payload_retention_hours,
        )

    def faults(self) -> Iterator[Fault]:
        """Yield the same faults as for a message to one application."""
        yield from self.single().faults()


class MessageBroadcastOut(StartedOut, kw_only=True):
    """The background task that creates the messages."""


async def count_attempts(call: Call[DryRunQuery, AppUsageStatsIn]) -> Response:
    """Start a task that counts the attempts of each application in a time range.

    The response lists unknown applications; if all are unknown, it is a 422.
    """
    body = call.body
    filters = UsageFilters(
        since=parse_timestamp(body.since, "since"),
        until=parse_timestamp(body.until, "until"),
        refs=unique(body.app_ids),
    )

    def render(task: Task, missing: Sequence[str]) -> Response:
        return started(AppUsageStatsOut, unresolved_app_ids=list(missing))(task)

    return await usage.count_attempts(
        call.context.services, call.principal, filters, idempotency_key=call.idempotency_key, render=render
    )


async def aggregate(call: Call[DryRunQuery, Nothing]) -> Response:
    """Start a task that lists, for each application, the event types that its endpoints subscribe to."""
    return await usage.aggregate(call.context.services, call.principal, render=started(AggregateEventTypesOut))


async def expunge(call: Call[DryRunQuery, Nothing]) -> Response:
    """Start a task that deletes the payloads of the messages that exist when it begins.

    Their pending deliveries are discarded; the messages stay.
    """
    services, render = call.context.services, started(ExpungeAllContentsOut)
    return await purges.purge(
        services, call.app, call.principal.subject, idempotency_key=call.idempotency_key, render=render
    )


async def broadcast(call: Call[DryRunQuery, MessageBroadcastIn]) -> Response:
    """Start a task that creates the message in every application that exists when it begins."""
    services, render = call.context.services, started(MessageBroadcastOut)
    draft = call.body.single().drafted(call.context.services.clock)
    return await broadcasts.broadcast(
        services, call.principal, draft, idempotency_key=call.idempotency_key, render=render
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/stats/usage/app",
        operation="v1.statistics.aggregate-app-stats",
        tag="Statistics",
        summary="Count the attempts of applications",
        access=Access.ORG,
        query=DryRunQuery,
        body=AppUsageStatsIn,
        handler=count_attempts,
        responses={202: AppUsageStatsOut},
    ),
    Route(
        method="PUT",
        path="/stats/usage/event-types",
        operation="v1.statistics.aggregate-event-types",
        tag="Statistics",
        summary="List the event types that applications subscribe to",
        access=Access.ORG,
        query=DryRunQuery,
        body=Nothing,
        handler=aggregate,
        responses={202: AggregateEventTypesOut},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/msg/expunge-all-contents",
        operation="v1.message.expunge-all-contents",
        tag="Message",
        summary="Delete the payloads of all messages of an application",
        access=Access.ORG,
        query=DryRunQuery,
        body=Nothing,
        handler=expunge,
        responses={202: ExpungeAllContentsOut},
    ),
    Route(
        method="POST",
        path="/msg/broadcast",
        operation="v1.message.broadcast",
        tag="Broadcast",
        summary="Broadcast a message to every application",
        access=Access.ORG,
        query=DryRunQuery,
        body=MessageBroadcastIn,
        handler=broadcast,
        responses={202: MessageBroadcastOut},
    ),
)
