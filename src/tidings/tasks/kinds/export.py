# SPDX-License-Identifier: MIT
"""`sdk.generate`: an archive of the event types, made in pieces, packed in the end, and a link to it.

A chunk makes the models of a few event types and keeps them as a piece; the last one packs the pieces. A child process
does that, between the read and the transaction. An event type whose models cannot be made, or take too much to make, is
skipped and reported with the reason.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec
from msgspec import structs

from tidings.clock import Clock
from tidings.core.exports import LINK_SECRET
from tidings.model import export
from tidings.model.export import ARCHIVE_LIFETIME_MS, BYTES_MAX, EVENT_TYPES_MAX, ExportArgs
from tidings.model.results import LINK
from tidings.model.task import EXPORT, Batch, ChunkResult, PermanentFailure, Plan, Task
from tidings.storage import exports, settings, task_items
from tidings.storage.database import Read, Write
from tidings.storage.exports import WHOLE, ExportedEventType
from tidings.tasks.archive import GeneratorMissing, ModelRequest
from tidings.tasks.generator import GenerationResult, Generator
from tidings.tasks.handler import ExternalWork
from tidings.tasks.names import class_names

AT_ONCE: Final = 20
"""Event types of one chunk: each takes some hundredths of a second."""
READ_BYTES: Final = 4 * 1024 * 1024
"""Schemas that one chunk reads, if it reads more than one."""
LOST_MAX: Final = 10
"""Event types at which a child process may end before the task fails: each costs as much as the limits allow."""

_args: Final = msgspec.json.Decoder(ExportArgs)


class _Place(msgspec.Struct, frozen=True):
    """Behind which event type, how many pieces there are, and how big they are."""

    after: str = ""
    parts: int = 0
    size: int = 0
    packing: bool = False
    lost: int = 0

    @property
    def text(self) -> str:
        return msgspec.json.encode(self).decode()


_place: Final = msgspec.json.Decoder(_Place)


class Export(ExternalWork):
    """Makes models of event types."""

    kind = EXPORT

    def __init__(self, clock: Clock, generator: Generator | None = None) -> None:
        self._clock = clock
        self._generator = generator or Generator()

    async def plan(self, read: Read, task: Task) -> Plan:
        names = await exports.names(read, task.org_id, limit=EVENT_TYPES_MAX + 1)
        if len(names) > EVENT_TYPES_MAX:
            raise PermanentFailure("too_many", f"There are more than {EVENT_TYPES_MAX} event types.")
        return Plan(_Place().text, len(names), exact=True)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        place, limit = _place.decode(task.cursor or ""), min(limit, AT_ONCE)
        if place.packing:
            return Batch(await exports.parts(read, task.id), 1, place.text, last=True)
        sizes = await exports.sizes(read, task.org_id, after=place.after, limit=limit)
        found = await exports.event_types(read, task.org_id, after=place.after, limit=_fitting(sizes))
        names = class_names(await exports.names(read, task.org_id, limit=EVENT_TYPES_MAX))
        after = structs.replace(
            place,
            after=found[-1].name if found else place.after,
            parts=place.parts + 1,
            packing=len(found) == len(sizes) < limit,
        )
        return Batch([_model_request(each, names) for each in found], max(1, len(found)), after.text, last=False)

    async def work(self, task: Task, batch: Batch) -> Batch:
        """Make the models of the event types, or the archive of all models."""
        place, after = _place.decode(task.cursor or ""), _place.decode(batch.cursor)
        if place.packing:
            return replace(batch, items=[(await self._generator.pack(batch.items), ())])
        made = await self._generate(batch.items)
        _truncate(made, BYTES_MAX - place.size)
        content = b"[" + b",".join(piece for _, piece in made.pieces) + b"]"
        after = structs.replace(after, size=place.size + len(content), lost=place.lost + made.lost)
        if after.lost > LOST_MAX:
            raise PermanentFailure(
                "too_costly", f"The models of more than {LOST_MAX} event types take too much to make."
            )
        return replace(batch, items=[(content, made.skipped)], cursor=after.text)

    async def _generate(self, requests: Sequence[ModelRequest]) -> GenerationResult:
        try:
            return await self._generator.generate(requests)
        except GeneratorMissing as error:
            raise PermanentFailure(
                "generator_missing", "Models need the extra: install tidings[export] where tasks are worked on."
            ) from error

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        place, expires_at = _place.decode(task.cursor or ""), self._clock.now() + ARCHIVE_LIFETIME_MS
        ((content, skipped),) = batch.items
        if not place.packing:
            await exports.add(tx, task.id, task.org_id, place.parts + 1, content, expires_at)
            after = _place.decode(batch.cursor)
            return ChunkResult(batch.scanned - len(skipped) if after.after != place.after else 0, skipped)
        await exports.delete_parts(tx, task.id)
        await exports.add(tx, task.id, task.org_id, WHOLE, content, expires_at)
        secret = await settings.find(tx, LINK_SECRET) or ""
        link = export.link(secret, _args.decode(task.args).origin, task.id, expires_at)
        await task_items.add(tx, [(task.id, LINK, LINK, link)])
        return ChunkResult(0)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0


def _fitting(sizes: Sequence[int]) -> int:
    """Return how many of the next event types one chunk reads."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > READ_BYTES:
            return count
    return len(sizes)


def _truncate(made: GenerationResult, room: int) -> None:
    """Leave out the pieces for which the archive has no room."""
    kept = []
    for name, piece in made.pieces:
        room -= len(piece)
        if room >= 0:
            kept.append((name, piece))
            continue
        room += len(piece)
        made.skipped.append((name, f"archive_full: the models have more than {BYTES_MAX // 2**20} MiB in all"))
    made.pieces = kept


def _model_request(each: ExportedEventType, names: dict[str, str]) -> ModelRequest:
    name = names.get(each.name) or next(iter(class_names([each.name]).values()))
    return ModelRequest(each.name, name, each.description, each.deprecated, each.group_name, each.schemas)
