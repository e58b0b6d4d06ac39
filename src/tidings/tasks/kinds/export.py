# SPDX-License-Identifier: MIT
"""`sdk.generate`: generate models of the event types, pack them into an archive, and store a link to it.

A chunk generates the models of a few event types and stores them as one part; the last chunk packs the parts. A child
process does this work, between the read and the write transaction. An event type is recorded as skipped, with the
reason, if its models cannot be generated or exceed a limit.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from msgspec import structs

from tidings.api.query import DryRunQuery
from tidings.api.routes import Access, Call, Nothing, Route
from tidings.api.started import StartedOut, start_task
from tidings.core.exports import LINK_SECRET
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model import export
from tidings.model.export import ARCHIVE_LIFETIME_MS, BYTES_MAX, EVENT_TYPES_MAX
from tidings.model.task import Batch, ChunkResult, NewTask, PermanentFailure, Plan, Task
from tidings.model.task_kind import LINK, Effect, TaskKind, TaskResult
from tidings.model.token import Principal
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import event_types, nodes, task_items
from tidings.storage.tables.event_types import FINISHED_EXPORT, ExportedEventType
from tidings.tasks.archive import GeneratorMissing, ModelRequest
from tidings.tasks.command import CliCommand
from tidings.tasks.declaration import Declaration
from tidings.tasks.generator import GenerationResult, Generator
from tidings.tasks.handler import ExternalWork, HandlerServices, TaskHandler
from tidings.tasks.names import class_names

_SECRET_BYTES: Final = 32


class ExportEventTypeOut(StartedOut, kw_only=True):
    """The background task that exports the event types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArgs:
    """The stored arguments; `origin` is the caller's base URL of the service, which the link starts with."""

    origin: str


async def export_event_types(call: Call[DryRunQuery, Nothing]) -> Response:
    """Start a task that exports the event types: an OpenAPI document, and models for Python and TypeScript.

    When the task has succeeded, `schemaZip` in its `data` is a link to the archive, valid for 24 hours.
    """
    services, principal, origin = call.context.services, call.principal, call.origin()
    return await start_task(call, ExportEventTypeOut, lambda tx: build_task(services, tx, principal, origin))


async def build_task(services: Services, tx: Write, principal: Principal, origin: str) -> NewTask:
    """Build the task of an organization, and create the secret of links if there is none yet."""
    del services
    await nodes.get_or_set_setting(tx, LINK_SECRET, secrets.token_urlsafe(_SECRET_BYTES))
    return KIND.on_organization(principal, ExportArgs(origin=origin))


_args: Final = msgspec.json.Decoder(ExportArgs)


class _Cursor(msgspec.Struct, frozen=True):
    """The last event type done, the number of stored parts, and their total size in bytes."""

    after: str = ""
    parts: int = 0
    size: int = 0
    packing: bool = False
    lost: int = 0

    @property
    def text(self) -> str:
        """The cursor as it is stored."""
        return msgspec.json.encode(self).decode()


_cursor: Final = msgspec.json.Decoder(_Cursor)


class Export(TaskHandler, ExternalWork):
    """Generates models of event types."""

    def __init__(self, kind: TaskKind, services: HandlerServices, generator: Generator | None = None) -> None:
        super().__init__(kind, services)
        self._generator = generator or Generator()

    async def plan(self, read: Read, task: Task) -> Plan:
        names = await event_types.active_names(read, task.org_id, limit=EVENT_TYPES_MAX + 1)
        if len(names) > EVENT_TYPES_MAX:
            raise PermanentFailure(
                "too_many",
                f"An export has at most {EVENT_TYPES_MAX} event types. Delete the event types that are not in use.",
            )
        return Plan(_Cursor().text, len(names), exact=True)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor, limit = _cursor.decode(task.cursor or ""), min(limit, self._tuning.export_event_types)
        if cursor.packing:
            return Batch(await event_types.export_parts(read, task.id), 1, cursor.text, last=True)
        sizes = await event_types.schema_sizes(read, task.org_id, after=cursor.after, limit=limit)
        found = await event_types.exported(
            read, task.org_id, after=cursor.after, limit=_fitting(sizes, self._tuning.export_read_bytes)
        )
        names = class_names(await event_types.active_names(read, task.org_id, limit=EVENT_TYPES_MAX))
        after = structs.replace(
            cursor,
            after=found[-1].name if found else cursor.after,
            parts=cursor.parts + 1,
            packing=len(found) == len(sizes) < limit,
        )
        return Batch([_model_request(each, names) for each in found], max(1, len(found)), after.text, last=False)

    async def work(self, task: Task, batch: Batch) -> Batch:
        """Generate the models of the event types, or pack the archive of all models."""
        cursor, after = _cursor.decode(task.cursor or ""), _cursor.decode(batch.cursor)
        if cursor.packing:
            return replace(batch, items=[(await self._generator.pack(batch.items), ())])
        result = await self._generate(batch.items)
        _truncate(result, BYTES_MAX - cursor.size)
        content = b"[" + b",".join(piece for _, piece in result.pieces) + b"]"
        after = structs.replace(after, size=cursor.size + len(content), lost=cursor.lost + result.lost)
        most = self._tuning.export_lost_max
        if after.lost > most:
            raise PermanentFailure(
                "too_costly",
                f"The models of more than {most} event types exceed the limits on CPU time or memory.",
            )
        return replace(batch, items=[(content, result.skipped)], cursor=after.text)

    async def _generate(self, requests: Sequence[ModelRequest]) -> GenerationResult:
        try:
            return await self._generator.generate(requests)
        except GeneratorMissing as error:
            raise PermanentFailure(
                "generator_missing",
                "The generator is missing. Install tidings[export] on the nodes that work on tasks.",
            ) from error

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        cursor, expires_at = _cursor.decode(task.cursor or ""), self._clock.now() + ARCHIVE_LIFETIME_MS
        ((content, skipped),) = batch.items
        if not cursor.packing:
            await event_types.add_export_part(tx, task.id, task.org_id, cursor.parts + 1, content, expires_at)
            after = _cursor.decode(batch.cursor)
            return ChunkResult(batch.scanned - len(skipped) if after.after != cursor.after else 0, skipped)
        await event_types.delete_export_parts(tx, task.id)
        await event_types.add_export_part(tx, task.id, task.org_id, FINISHED_EXPORT, content, expires_at)
        secret = await nodes.setting(tx, LINK_SECRET) or ""
        link = export.link(secret, _args.decode(task.args).origin, task.id, expires_at)
        await task_items.add(tx, [(task.id, LINK, LINK, link)])
        return ChunkResult(0)

    async def sample(self, read: Read, task: Task, limit: int) -> Sequence[str]:
        return await event_types.active_names(read, task.org_id, limit=limit)


def _fitting(sizes: Sequence[int], most: int) -> int:
    """Return the number of event types in the next chunk: at least one, and within `most` bytes."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > most:
            return count
    return len(sizes)


def _truncate(result: GenerationResult, capacity: int) -> None:
    """Skip the models that exceed the remaining size of the archive."""
    kept = []
    for name, piece in result.pieces:
        capacity -= len(piece)
        if capacity >= 0:
            kept.append((name, piece))
            continue
        capacity += len(piece)
        result.skipped.append((name, f"archive_full: the models have more than {BYTES_MAX // 2**20} MiB in all"))
    result.pieces = kept


def _model_request(each: ExportedEventType, names: dict[str, str]) -> ModelRequest:
    name = names.get(each.name) or next(iter(class_names([each.name]).values()))
    return ModelRequest(each.name, name, each.description, each.deprecated, each.group_name, each.schemas)


KIND: Final = Declaration(
    name="sdk.generate",
    summary="Export event types as an OpenAPI document and models",
    place=5,
    args=ExportArgs,
    handler=Export,
    result=TaskResult(text="schemaZip"),
    effects=frozenset({Effect.EXPORTS}),
    first_rate=100,
    route=Route(
        method="POST",
        path="/event-type/export/openapi",
        operation="v1.event-type.export-openapi",
        tag="Event Type",
        summary="Export event types as an OpenAPI document and models",
        access=Access.ORG,
        query=DryRunQuery,
        body=Nothing,
        handler=export_event_types,
        responses={202: ExportEventTypeOut},
    ),
    command=CliCommand("export", "Export the event types as an archive, with models for Python and TypeScript."),
)
