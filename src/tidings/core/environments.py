# SPDX-License-Identifier: MIT
"""Export and import of an organization's configuration: event types, connectors and settings.

An import creates and updates what it contains and deletes nothing, in one transaction. Imports of one organization run
one after the other, and an export waits for them, so each sees all of an import or nothing of it.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tidings.core import connectors as use_cases
from tidings.core import event_types
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import AppError, bad_request, moved
from tidings.ids import ConnectorId, OrgId
from tidings.model.connector import CONNECTORS_MAX, VERSIONS_KEPT, Connector, ConnectorDraft
from tidings.model.event_type import EventType, EventTypeDraft, is_same_json
from tidings.storage.drivers.database import Busy, Write, retried
from tidings.storage.tables import connectors, environments
from tidings.storage.tables.environments import ConnectorName

TYPES_MAX: Final = 5_000
"""Maximum event types of one export or import."""
BYTES_MAX: Final = 16 * 1024 * 1024
"""Maximum size of an export; imports are limited by the size of a request."""
SETTINGS_MAX: Final = 65_536
"""Maximum size of the settings of an organization as JSON."""
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Environment:
    """The configuration of an organization."""

    event_types: Sequence[EventType]
    connectors: Sequence[Connector]
    settings: dict[str, Any] | None
    at: int
    """When it was read."""


@dataclass(frozen=True, slots=True)
class EnvironmentDraft:
    """A validated import: its items are created or updated, and all else stays."""

    event_types: Sequence[EventTypeDraft]
    connectors: Sequence[ConnectorDraft]
    settings: dict[str, Any] | None


async def exported(services: Services, org_id: OrgId) -> Environment:
    """Return the configuration of an organization; refuse one that is too large for one document."""

    async def work() -> Environment:
        async with services.db.write() as tx:
            await environments.lock(tx, org_id, services.now())
            measured = await environments.size(tx, org_id)
            if measured.event_types > TYPES_MAX or measured.size > BYTES_MAX:
                raise bad_request("limit_reached", _too_large(measured.event_types))
            settings = await environments.settings(tx, org_id)
            return Environment(
                event_types=await environments.event_types(tx, org_id),
                connectors=await connectors.of_org(tx, org_id),
                settings=None if settings is None else json.loads(settings),
                at=services.now(),
            )

    return await retried(work)


def _too_large(types: int) -> str:
    return (
        f"An export has at most {TYPES_MAX:,} event types and {BYTES_MAX // 1024 // 1024} MiB, and this organization"
        f" has {types:,} event types. List the event types with their content page by page instead."
    )


async def imported(
    services: Services,
    org_id: OrgId,
    draft: EnvironmentDraft,
    *,
    idempotency_key: str | None,
    render: Callable[[None], Response],
) -> Response:
    """Create and update what a draft contains, all of it or nothing; refuse a script that does not compile."""
    await _require_compiling(services, org_id, draft.connectors)

    async def work(tx: Write) -> None:
        now = services.now()
        await environments.lock(tx, org_id, now)
        await _put_types(tx, org_id, draft.event_types, now)
        await _put_connectors(tx, org_id, draft.connectors, now)
        if draft.settings is not None:
            await _merge_settings(tx, org_id, draft.settings)

    return await services.idempotency.once(idempotency_key, work, render)


async def _require_compiling(services: Services, org_id: OrgId, drafts: Sequence[ConnectorDraft]) -> None:
    """Refuse the first script that does not compile, with its place in the body."""
    known: set[str] = set()
    for index, draft in enumerate(drafts):
        if draft.transformation in known:
            continue
        try:
            await use_cases.require_compiling(services, org_id, draft.transformation)
        except AppError as error:
            raise moved(error, "connectors", f"[{index}]") from error
        known.add(draft.transformation)


async def _put_types(tx: Write, org_id: OrgId, drafts: Sequence[EventTypeDraft], now: int) -> None:
    # In one order, so that two transactions that write the same event types do not wait for each other.
    ordered = sorted((event_types.from_draft(org_id, each, now) for each in drafts), key=lambda each: each.name)
    for start in range(0, len(ordered), _CHUNK):
        chunk = ordered[start : start + _CHUNK]
        await environments.put_event_types(tx, await _with_stored_order(tx, org_id, chunk))
        await asyncio.sleep(0)


async def _with_stored_order(tx: Write, org_id: OrgId, given: Sequence[EventType]) -> list[EventType]:
    """Return event types with the stored text of their schemas where it differs only in the order of members.

    Such texts have the same size, so this reads no more than the request has.
    """
    sizes = {each.name: len(each.schemas.encode()) for each in given if each.schemas is not None}
    stored = await environments.schemas_of_size(tx, org_id, sizes)
    return [
        replace(each, schemas=text) if text is not None and is_same_json(text, each.schemas or "") else each
        for each in given
        for text in (stored.get(each.name),)
    ]


async def _put_connectors(tx: Write, org_id: OrgId, drafts: Sequence[ConnectorDraft], now: int) -> None:
    found = await environments.connector_names(tx, org_id) if drafts else []
    matched = _matched(found, drafts)
    new = [draft for draft, known in matched if known is None]
    if new and len(found) + len(new) > CONNECTORS_MAX:
        raise use_cases.limit_error()
    for draft, known in matched:
        await _put_connector(tx, org_id, known, draft, now)


def _matched(
    found: Sequence[ConnectorName], drafts: Sequence[ConnectorDraft]
) -> list[tuple[ConnectorDraft, ConnectorId | None]]:
    """Return each draft with the connector that it updates: the one with its uid.

    Without uids, the drafts of a name update the connectors of that name, the first the oldest.
    """
    known: defaultdict[tuple[str | None, str], deque[ConnectorId]] = defaultdict(deque)
    for each in found:
        known[each.uid, "" if each.uid else each.name].append(each.id)
    keys = [(draft.uid, "" if draft.uid else draft.name) for draft in drafts]
    return [(draft, known[key].popleft() if known[key] else None) for draft, key in zip(drafts, keys, strict=True)]


async def _put_connector(
    tx: Write, org_id: OrgId, connector_id: ConnectorId | None, draft: ConnectorDraft, now: int
) -> None:
    """Update a connector; add it if there is none, or if another request has just deleted it."""
    before = None if connector_id is None else await connectors.find_locked(tx, org_id, connector_id)
    if before is None:
        if await connectors.add(tx, use_cases.from_draft(org_id, draft, now)):
            return
        # Another request has just created the one with its uid. A retry would lose to the next deletion.
        before = await connectors.find_locked(tx, org_id, draft.uid or "")
    if before is None:
        raise Busy("another request has just deleted the connector")  # the retry creates it
    edited = replace(use_cases.overwritten(before, draft), product_type=draft.product_type)
    if edited != before:
        await connectors.change(tx, before, use_cases.rewritten(before, edited, now), kept=VERSIONS_KEPT)


async def _merge_settings(tx: Write, org_id: OrgId, given: dict[str, Any]) -> None:
    stored = await environments.settings(tx, org_id)
    merged = {**({} if stored is None else json.loads(stored)), **given}
    text = json.dumps(merged, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > SETTINGS_MAX:
        raise bad_request("limit_reached", f"The settings have at most {SETTINGS_MAX:,} bytes. Leave some of them out.")
    await environments.set_settings(tx, org_id, text)
