# SPDX-License-Identifier: MIT
"""Tasks that resend the messages of one endpoint, over HTTP: recovery, missed messages, bulk replay."""

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from tidings.api.fields import CHANNEL, NAMES_MAX, TAG, Name, count_faults, set_faults, unique
from tidings.api.query import DryRunQuery, Flag
from tidings.api.routes import Access, AnyRoute, Call, Route
from tidings.api.tasks import StartedOut, started
from tidings.api.wire import In, Timestamp, parse_timestamp
from tidings.core import resending, tasks
from tidings.core.idempotency import Response
from tidings.errors import Fault
from tidings.model import text
from tidings.model.attempt import MessageStatus, StatusCodeClass
from tidings.model.message import MessageFilter
from tidings.model.resending import ReplayFilters, ReplayRequest, ReplayScope
from tidings.model.token import Capability

ENDPOINT_TAG: Final = "Endpoint"
RATE_MAX: Final = 100_000
_RATE: Final = Meta(extra_json_schema={"minimum": 1, "maximum": RATE_MAX})


class _WindowIn(In, kw_only=True):
    """A time range, and the rate at which to send."""

    since: Timestamp
    """The start of the range, at most five minutes in the future."""
    until: Timestamp | None = None
    """The end of the range, exclusive and not before `since`. Now by default; a later time than now means now."""
    rate_per_second: Annotated[int | None, _RATE] = None
    """Maximum number of messages to send per second. Null, the default, means no limit of the task."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if self.rate_per_second is not None and not 1 <= self.rate_per_second <= RATE_MAX:
            yield Fault(("body", "ratePerSecond"), f"must be between 1 and {RATE_MAX} messages per second")


class RecoverIn(_WindowIn, kw_only=True):
    """The time range whose failed messages to resend. It begins at most 14 days before its end."""


class ReplayIn(_WindowIn, kw_only=True):
    """The time range whose missed messages to send."""


class BulkReplayIn(_WindowIn, kw_only=True):
    """The messages to resend, whatever their outcome. Filters that are absent match every message."""

    event_types: Annotated[list[Name] | None, Meta(extra_json_schema={"uniqueItems": True, "maxItems": NAMES_MAX})] = (
        None
    )
    """Only messages of these event types, at most 500."""
    channel: Annotated[str | None, CHANNEL] = None
    """Only messages with this channel."""
    tag: Annotated[str | None, TAG] = None
    """Only messages with this tag."""
    status: MessageStatus | None = None
    """Only messages whose latest attempt has this status. A failed one that will be retried is 3 (sending)."""
    status_code_class: StatusCodeClass | None = None
    """Only messages whose latest attempt has a status code of this class."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from super().faults()
        yield from count_faults("eventTypes", self.event_types, NAMES_MAX)
        yield from set_faults("eventTypes", map(text.name_error, self.event_types or ()))
        for name, value, rule in (
            ("channel", self.channel, text.channel_error),
            ("tag", self.tag, text.tag_error),
        ):
            wrong = None if value is None else rule(value)
            if wrong is not None:
                yield Fault(("body", name, "__all__"), wrong)

    def filters(self) -> ReplayFilters:
        """Return the filters of the messages to resend."""
        return ReplayFilters(
            messages=MessageFilter(
                event_types=unique(self.event_types) or (),
                channel=self.channel,
                tag=self.tag,
            ),
            status=self.status,
            code_class=self.status_code_class,
        )


class RecoverOut(StartedOut, kw_only=True):
    """The background task that resends failed messages."""


class ReplayOut(StartedOut, kw_only=True):
    """The background task that sends messages."""


class ForceQuery(DryRunQuery, kw_only=True):
    """How to start a task that sends messages."""

    force: Flag = False
    """Start the task even if the endpoint is disabled. The task waits until the endpoint is enabled."""


async def recover(call: Call[ForceQuery, RecoverIn]) -> Response:
    """Start a task that resends each message that failed in a time range and has not succeeded since.

    A disabled endpoint is a 422 unless `force` is set. A range of more than 14 days is a 422.
    """
    body = call.body
    recovery = tasks.Recovery(
        endpoint_ref=call.path["endpoint_id"],
        since=parse_timestamp(body.since, "since"),
        until=None if body.until is None else parse_timestamp(body.until, "until"),
        created_by=call.principal.subject,
        rate_limit=body.rate_per_second,
        force=call.query.force,
    )
    render = started(RecoverOut)
    return await tasks.recover(
        call.context.services, call.app, recovery, idempotency_key=call.idempotency_key, render=render
    )


async def replay_missing(call: Call[ForceQuery, ReplayIn]) -> Response:
    """Start a task that sends messages that the endpoint never received, by its current filters.

    A disabled endpoint is a 422 unless `force` is set.
    """
    return await _replay(call, _replay_request(call, call.body, ReplayScope.MISSING))


async def bulk_replay(call: Call[ForceQuery, BulkReplayIn]) -> Response:
    """Start a task that resends messages that the endpoint was sent before, whatever their outcome.

    A disabled endpoint is a 422 unless `force` is set.
    """
    return await _replay(call, _replay_request(call, call.body, ReplayScope.SENT, call.body.filters()))


def _replay_request(
    call: Call[ForceQuery, ReplayIn] | Call[ForceQuery, BulkReplayIn],
    body: _WindowIn,
    scope: ReplayScope,
    filters: ReplayFilters | None = None,
) -> ReplayRequest:
    return ReplayRequest(
        scope=scope,
        endpoint_ref=call.path["endpoint_id"],
        since=parse_timestamp(body.since, "since"),
        until=None if body.until is None else parse_timestamp(body.until, "until"),
        filters=filters or ReplayFilters(),
        created_by=call.principal.subject,
        rate_limit=body.rate_per_second,
        force=call.query.force,
    )


async def _replay(
    call: Call[ForceQuery, ReplayIn] | Call[ForceQuery, BulkReplayIn], request: ReplayRequest
) -> Response:
    services, render = call.context.services, started(ReplayOut)
    return await resending.replay(services, call.app, request, idempotency_key=call.idempotency_key, render=render)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/app/{app_id}/endpoint/{endpoint_id}/recover",
        operation="v1.endpoint.recover",
        tag=ENDPOINT_TAG,
        summary="Resend the failed messages of an endpoint",
        access=Access.APP,
        needs=Capability.CREATE_ATTEMPTS,
        query=ForceQuery,
        body=RecoverIn,
        handler=recover,
        responses={202: RecoverOut},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
        operation="v1.endpoint.replay-missing",
        tag=ENDPOINT_TAG,
        summary="Send the messages that an endpoint never received",
        access=Access.APP,
        needs=Capability.CREATE_ATTEMPTS,
        query=ForceQuery,
        body=ReplayIn,
        handler=replay_missing,
        responses={202: ReplayOut},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
        operation="v1.endpoint.bulk-replay",
        tag=ENDPOINT_TAG,
        summary="Resend selected messages of an endpoint",
        access=Access.APP,
        needs=Capability.CREATE_ATTEMPTS,
        query=ForceQuery,
        body=BulkReplayIn,
        handler=bulk_replay,
        responses={202: ReplayOut},
    ),
)
