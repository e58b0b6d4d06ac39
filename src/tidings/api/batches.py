# SPDX-License-Identifier: MIT
"""Batches of messages in one request, over HTTP."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings import ids
from tidings.api.fields import MessageId
from tidings.api.messages import TAG, MessageIn
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Route
from tidings.api.wire import (
    STATUS,
    HttpErrorOut,
    HTTPValidationError,
    In,
    Out,
    Timestamp,
    decode,
    encode,
    format_timestamp,
    refusal,
)
from tidings.core.batches import BatchRequest
from tidings.core.idempotency import Response
from tidings.core.services import AcceptResult
from tidings.errors import AppError, Fault
from tidings.model.message import Draft

MESSAGES_MAX: Final = 1_000
_COUNT: Final = f"There must be at least 1 and at most {MESSAGES_MAX} messages."
_RANDOM_LENGTH: Final = 19
"""The number of characters at the end of an id that do not encode its timestamp."""
_message: Final = msgspec.json.Decoder(MessageIn)

_Item = Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/MessageIn"})]


class MessageBatchIn(In, kw_only=True):
    """The messages to create, in order."""

    messages: Annotated[list[_Item], Meta(extra_json_schema={"minItems": 1, "maxItems": MESSAGES_MAX})]
    """The messages, from 1 to 1,000. Each is accepted or refused by itself."""

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of the batch as a whole; each message reports its own faults in its result."""
        if not 1 <= len(self.messages) <= MESSAGES_MAX:
            yield Fault(("body", "messages"), _COUNT)


_Error = Annotated[
    msgspec.Raw,
    Meta(
        extra_json_schema={
            "anyOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (HttpErrorOut, HTTPValidationError)]
        }
    ),
]


class BatchedMessageOut(Out, kw_only=True):
    """The result for one message of a batch."""

    status: int
    """202 if the message was accepted, else the status code of its error."""
    id: MessageId | UnsetType = UNSET
    """The id of the message. Absent if it was refused."""
    timestamp: Timestamp | UnsetType = UNSET
    """When the message was created. Absent if it was refused."""
    error: _Error | UnsetType = UNSET
    """Why the message was refused. Absent if it was accepted."""


class MessageBatchOut(Out, kw_only=True):
    """The result for each message of a batch."""

    data: tuple[BatchedMessageOut, ...]
    """The results, in the order of the messages."""


async def create(call: Call[Query, MessageBatchIn]) -> Response:
    """Create up to 1,000 messages for an application, in order.

    Each message has its own result: an invalid one does not affect the others. Up to 10,000 deliveries are stored
    in one transaction. More than 500,000 are a 400 with the code `too_many_deliveries`.
    """
    context = call.context
    drafts = [_draft(call, raw) for raw in call.body.messages]
    batch = BatchRequest(context.services, context.acceptor, call.app, render=_render_batch, join=_join_parts)
    return await batch.accept(drafts, call.idempotency_key)


def _draft(call: Call[Query, MessageBatchIn], raw: msgspec.Raw) -> Draft | AppError:
    clock = call.context.services.clock
    try:
        try:
            message = _message.decode(raw)  # `read` has checked the encoding and the depth of the whole body
        except msgspec.DecodeError:
            message = decode(_message, bytes(raw))  # raises the error that describes the fault
        return message.drafted(clock)
    except AppError as error:
        return error


def _render_batch(outcomes: list[AcceptResult]) -> Response:
    return Response(202, encode(MessageBatchOut(data=tuple(map(_render_outcome, outcomes)))))


class _Part(msgspec.Struct):
    data: list[msgspec.Raw]


_part: Final = msgspec.json.Decoder(_Part)


def _join_parts(responses: Sequence[Response]) -> tuple[Response, int]:
    """Return one response for the parts of a batch, and the number of its messages."""
    data = [each for response in responses for each in _part.decode(response.body).data]
    return Response(202, encode({"data": data})), len(data)


def _render_outcome(outcome: AcceptResult) -> BatchedMessageOut:
    if isinstance(outcome, AppError):
        return BatchedMessageOut(status=STATUS[outcome.kind], error=msgspec.Raw(refusal(outcome).body))
    return BatchedMessageOut(status=202, id=outcome.id, timestamp=_timestamp(outcome.id[:-_RANDOM_LENGTH]))


@lru_cache(maxsize=8)
def _timestamp(head: str) -> str:
    """Format the timestamp of an id; the messages of a batch share its head, so the result is cached."""
    return format_timestamp(ids.timestamp_of(head + "0" * _RANDOM_LENGTH))


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/app/{app_id}/msg/batch",
        operation="v1.message.create-batch",
        tag=TAG,
        summary="Create messages in a batch",
        access=Access.ORG,
        query=Query,
        body=MessageBatchIn,
        handler=create,
        responses={202: MessageBatchOut},
    ),
)
