# SPDX-License-Identifier: MIT
"""Use case: import event types from the webhooks of an OpenAPI document.

An import is one transaction: all event types of the document, or none. A dry run makes the same plan without writing.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tidings.core.idempotency import Response
from tidings.core.schemas import is_draft_7
from tidings.core.services import Services
from tidings.core.tuning import CoreTuning
from tidings.errors import AppError, Fault, bad_request, invalid
from tidings.ids import OrgId
from tidings.model import yaml_text
from tidings.model.event_type import EventType, StatedEventType
from tidings.model.openapi_webhooks import FAULTS_MAX, TooManyWebhooks, event_types_in
from tidings.storage.drivers.database import Busy, Read, Write
from tidings.storage.tables import event_type_imports as rows
from tidings.storage.tables import event_types

# One thread of its own: a document keeps it busy for up to seconds, and the threads of the loop resolve names.
_reader: Final = ThreadPoolExecutor(1, "openapi")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """What an import changes, ordered by name."""

    created: tuple[EventType, ...]
    updated: tuple[EventType, ...]
    """The event types after the change."""
    archived: tuple[str, ...]
    in_use: tuple[str, ...]
    """Those of `archived` to which endpoints subscribe; they keep their subscriptions."""
    unchanged: int

    @property
    def modified(self) -> list[str]:
        """The names of all event types that change."""
        return sorted([*(each.name for each in (*self.created, *self.updated)), *self.archived])


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A document: as an object, or as text in YAML or JSON. One of the two is None."""

    spec: Mapping[str, Any] | None
    spec_raw: str | None


async def read(source: ImportSource) -> list[StatedEventType]:
    """Return the event types of a document; raise `AppError` with its faults, or if it has too many of them."""
    return await asyncio.get_running_loop().run_in_executor(_reader, _read, source)


def _read(source: ImportSource) -> list[StatedEventType]:
    if (source.spec is None) == (source.spec_raw is None):
        raise bad_request("invalid_spec", "Send the document either as `spec` or as `specRaw`.")
    member = "spec" if source.spec_raw is None else "specRaw"
    try:
        root = source.spec if source.spec_raw is None else yaml_text.parsed(source.spec_raw)
        found, faults = event_types_in(root, is_draft_7)
    except yaml_text.YamlError as error:
        raise invalid(Fault(("body", member), f"not YAML or JSON: {error}", "value_error.jsondecode")) from error
    except RecursionError as error:
        raise invalid(Fault(("body", member), "The document is nested too deeply.")) from error
    except TooManyWebhooks as error:
        raise bad_request("too_many_event_types", str(error)) from error
    if faults:
        raise invalid(*(Fault(("body", member, *each.place), each.message) for each in faults[:FAULTS_MAX]))
    return found


async def plan(services: Services, org_id: OrgId, stated: Sequence[StatedEventType], *, replaces: bool) -> ImportPlan:
    """Return what an import would change, without writing.

    `replaces` archives the active event types that the document does not have.
    """
    in_use = await _in_use(services, org_id, stated) if replaces else set()
    async with services.db.read() as read:
        await _require_small(read, org_id, stated, services.tuning)
        found = await rows.of_names(read, org_id, _names(stated))
        archived = await _others(read, org_id, stated, services.tuning) if replaces else ()
    return _compared(org_id, stated, found, archived, in_use, services.now())


async def run(
    services: Services,
    org_id: OrgId,
    stated: Sequence[StatedEventType],
    *,
    replaces: bool,
    idempotency_key: str | None,
    render: Callable[[ImportPlan], Response],
) -> Response:
    """Import event types, all or none; an import without a change writes nothing."""
    in_use = await _in_use(services, org_id, stated) if replaces else set()

    async def work(tx: Write) -> ImportPlan:
        now = services.now()
        await _require_small(tx, org_id, stated, services.tuning)
        found = await rows.lock(tx, org_id, _names(stated))
        archived = await _others(tx, org_id, stated, services.tuning) if replaces else ()
        changes = _compared(org_id, stated, found, archived, in_use, now)
        if changes.created and await rows.add(tx, changes.created) != len(changes.created):
            raise Busy("another request has just created one of the event types")  # the retry changes it
        if changes.updated:
            await rows.change(tx, changes.updated)
        if archived:
            await rows.archive(tx, org_id, archived, now)
        return changes

    return await services.idempotency.once(idempotency_key, work, render)


def _compared(
    org_id: OrgId,
    stated: Sequence[StatedEventType],
    found: Iterable[EventType],
    archived: tuple[str, ...],
    in_use: Collection[str],
    now: int,
) -> ImportPlan:
    """Compare a document with the event types of its names; `archived` are the names to archive."""
    before = {each.name: each for each in found}
    changes = [each.applied(before[each.name], now) for each in stated if each.name in before]
    updated = tuple(each for each in changes if each is not None)
    return ImportPlan(
        created=tuple(each.created(org_id, now) for each in stated if each.name not in before),
        updated=updated,
        archived=archived,
        in_use=tuple(each for each in archived if each in in_use),
        unchanged=len(changes) - len(updated),
    )


async def _in_use(services: Services, org_id: OrgId, stated: Sequence[StatedEventType]) -> set[str]:
    """Return the event types beside a document to which endpoints subscribe.

    This reads all endpoints of the organization, so it precedes the transaction, in which other writes wait.
    """
    async with services.db.read() as read:
        others = await _others(read, org_id, stated, services.tuning)
        return await rows.subscribed(read, org_id, others) if others else set()


async def _require_small(read: Read, org_id: OrgId, stated: Sequence[StatedEventType], tuning: CoreTuning) -> None:
    if await rows.schema_bytes(read, org_id, _names(stated)) > tuning.import_stored_bytes:
        raise _too_large("The schemas that are stored for these event types are too large for one import. Split it.")


def _names(stated: Sequence[StatedEventType]) -> list[str]:
    return [each.name for each in stated]


async def _others(read: Read, org_id: OrgId, stated: Sequence[StatedEventType], tuning: CoreTuning) -> tuple[str, ...]:
    """Return the active event types of an organization that a document does not have."""
    most, names = tuning.import_active_types, set(_names(stated))
    active = await event_types.active_names(read, org_id, limit=most + 1)
    if len(active) > most:
        raise _too_large(f"The organization has more than {most:,} event types; archive them without an import.")
    return tuple(name for name in active if name not in names)


def _too_large(detail: str) -> AppError:
    return bad_request("too_many_event_types", detail)
