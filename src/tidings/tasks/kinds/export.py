# SPDX-License-Identifier: MIT
"""`sdk.generate`: an archive of the event types, made in pieces, packed in the end, and a link to it.

A chunk makes the models of a few event types and keeps them as a piece; the last one packs the pieces. What takes
the time runs in a thread, before the transaction. An event type of which nothing can be made is skipped and told.
"""

import asyncio
from typing import Final

import msgspec

from tidings.clock import Clock
from tidings.core.exports import LINK_SECRET
from tidings.model import export
from tidings.model.export import BYTES_MAX, EVENT_TYPES_MAX, KEPT_MS, ExportArgs
from tidings.model.results import LINK
from tidings.model.task import EXPORT, Batch, Permanent, Plan, Tally, Task
from tidings.storage import exports, settings, task_items
from tidings.storage.database import Read, Write
from tidings.storage.exports import WHOLE, Described
from tidings.tasks import archive
from tidings.tasks.archive import GeneratorMissing, Piece, Wanted
from tidings.tasks.schemas import class_names

AT_ONCE: Final = 20
"""Event types of one chunk: each takes some hundredths of a second."""

_args: Final = msgspec.json.Decoder(ExportArgs)


class _Place(msgspec.Struct, frozen=True):
    """Behind which event type, how many pieces there are, and how big they are."""

    after: str = ""
    parts: int = 0
    size: int = 0
    packing: bool = False

    @property
    def text(self) -> str:
        return msgspec.json.encode(self).decode()


_place: Final = msgspec.json.Decoder(_Place)


class Export:
    """Makes models of event types."""

    kind = EXPORT

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def plan(self, read: Read, task: Task) -> Plan:
        names = await exports.names(read, task.org_id, limit=EVENT_TYPES_MAX + 1)
        if len(names) > EVENT_TYPES_MAX:
            raise Permanent("too_many", f"There are more than {EVENT_TYPES_MAX} event types.")
        return Plan(_Place().text, len(names), exact=True)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        place = _place.decode(task.cursor or "")
        if place.packing:
            parts = await exports.parts(read, task.id)
            whole = await asyncio.to_thread(archive.packed, parts)
            return Batch([(whole, ())], 1, place.text, last=True)
        limit = min(limit, AT_ONCE)
        found = await exports.event_types(read, task.org_id, after=place.after, limit=limit)
        names = class_names(await exports.names(read, task.org_id, limit=EVENT_TYPES_MAX))
        pieces, skipped = await self._made([_wanted(each, names) for each in found])
        content = msgspec.json.encode(pieces)
        after = _Place(
            after=found[-1].name if found else place.after,
            parts=place.parts + 1,
            size=place.size + len(content),
            packing=len(found) < limit,
        )
        if after.size > BYTES_MAX:
            raise Permanent("too_large", f"The models have more than {BYTES_MAX // 2**20} MiB.")
        return Batch([(content, tuple(skipped))], max(1, len(found)), after.text, last=False)

    async def _made(self, wanted: list[Wanted]) -> tuple[list[Piece], list[tuple[str, str]]]:
        try:
            return await asyncio.to_thread(archive.made, wanted)
        except GeneratorMissing as error:
            raise Permanent(
                "generator_missing", "Models need the extra: install tidings[export] where tasks are worked on."
            ) from error

    async def apply(self, tx: Write, task: Task, batch: Batch) -> Tally:
        place, expires_at = _place.decode(task.cursor or ""), self._clock.now() + KEPT_MS
        ((content, skipped),) = batch.items
        if not place.packing:
            await exports.add(tx, task.id, task.org_id, place.parts + 1, content, expires_at)
            after = _place.decode(batch.cursor)
            return Tally(batch.scanned - len(skipped) if after.after != place.after else 0, skipped)
        await exports.drop_parts(tx, task.id)
        await exports.add(tx, task.id, task.org_id, WHOLE, content, expires_at)
        secret = await settings.find(tx, LINK_SECRET) or ""
        link = export.link(secret, _args.decode(task.args).origin, task.id, expires_at)
        await task_items.add(tx, [(task.id, LINK, LINK, link)])
        return Tally(0)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0


def _wanted(each: Described, names: dict[str, str]) -> Wanted:
    name = names.get(each.name) or next(iter(class_names([each.name]).values()))
    return Wanted(each.name, name, each.description, each.deprecated, each.group_name, each.schemas)
