# SPDX-License-Identifier: MIT
"""Use cases of endpoints: create, update, delete, get and list.

Every write locks the application first (`apps.advance_routing_version`): this serializes the writes to one application,
and its new version makes every node recompile the routing. Operational events are stored in the transaction of their
write.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tidings.core import health, operational, releases
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.tailing import committed_window
from tidings.errors import Fault, bad_request, conflict, invalid, unavailable
from tidings.ids import ENDPOINT, EndpointId, OrgId, new
from tidings.model.app import App
from tidings.model.encryption import DecryptionError
from tidings.model.endpoint import Endpoint, EndpointDraft, deduplicated
from tidings.model.health import NO_FAILURES
from tidings.model.page import Cursor, Page
from tidings.storage.drivers.database import Read, Write, retried
from tidings.storage.tables import apps, endpoints, event_types, routing


@dataclass(frozen=True, slots=True)
class UpsertedEndpoint:
    """The endpoint that an upsert returns, and whether the upsert created it."""

    endpoint: Endpoint
    is_new: bool


@dataclass(frozen=True, slots=True)
class EndpointEdit:
    """A change to an endpoint, as a function of its current state."""

    apply: Callable[[Endpoint], Endpoint]
    subscribes: tuple[str, ...]
    """The event types that the change subscribes to."""


async def create(
    services: Services,
    app: App,
    draft: EndpointDraft,
    *,
    idempotency_key: str | None,
    render: Callable[[Endpoint], Response],
    finish: Callable[[Write, Endpoint], Awaitable[None]] | None = None,
) -> Response:
    """Create an endpoint; generate a secret if the draft has none. `finish` does more in its transaction."""

    async def work(tx: Write) -> Endpoint:
        now = services.now()
        await apps.advance_routing_version(tx, app.id, now)
        endpoint = await _add(tx, services, app, draft, now)
        if finish is not None:
            await finish(tx, endpoint)
        return endpoint

    return await services.idempotency.once(idempotency_key, work, render)


async def put(
    services: Services, app: App, ref: str, draft: EndpointDraft, *, render: Callable[[UpsertedEndpoint], Response]
) -> Response:
    """Replace an endpoint, except its secret and headers; create it if it does not exist."""

    async def work(tx: Write) -> UpsertedEndpoint:
        now = services.now()
        await apps.advance_routing_version(tx, app.id, now)
        before = await endpoints.find(tx, app.id, ref)
        if before is None:
            return UpsertedEndpoint(await _add(tx, services, app, draft, now), is_new=True)
        await _refuse_unknown(tx, app.org_id, draft.event_types or ())
        return UpsertedEndpoint(await _rewrite(tx, services, app, before, before.overwritten(draft)), is_new=False)

    return await services.idempotency.once(None, work, render)


async def change(
    services: Services, app: App, ref: str, edit: EndpointEdit, *, render: Callable[[Endpoint], Response]
) -> Response:
    """Apply an edit to an endpoint."""

    async def work(tx: Write) -> Endpoint:
        await apps.advance_routing_version(tx, app.id, services.now())
        before = await endpoints.get(tx, app.id, ref)
        await _refuse_unknown(tx, app.org_id, edit.subscribes)
        return await _rewrite(tx, services, app, before, edit.apply(before))

    return await services.idempotency.once(None, work, render)


async def delete(services: Services, app: App, ref: str) -> None:
    """Delete an endpoint; each of its pending deliveries is discarded when the dispatcher claims it."""

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.now()
            await apps.advance_routing_version(tx, app.id, now)
            endpoint = await endpoints.get(tx, app.id, ref)
            await endpoints.delete(tx, endpoint.id, now)
            await routing.record_history(tx, endpoint.id, now)
            await notify(tx, services, app, endpoint, operational.ENDPOINT_DELETED)
            refresh_after_commit(tx, services, endpoint)

    await retried(work)


async def set_headers(
    services: Services, app: App, ref: str, edit: Callable[[Mapping[str, str]], Mapping[str, str]]
) -> None:
    """Apply an edit to the headers that every request to an endpoint carries."""

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.now()
            await apps.advance_routing_version(tx, app.id, now)
            endpoint = await endpoints.get(tx, app.id, ref)
            before = _decode_headers(services, await endpoints.headers(tx, app.id, ref))
            await endpoints.set_headers(tx, endpoint.id, services.encryption.encode_headers(edit(before)), now)
            refresh_after_commit(tx, services, endpoint)

    await retried(work)


async def headers(services: Services, app: App, ref: str) -> dict[str, str]:
    """Return the headers that every request to an endpoint carries; names that differ only in case appear once."""
    async with services.db.read() as read:
        stored = await endpoints.headers(read, app.id, ref)
    return deduplicated(_decode_headers(services, stored))


def _decode_headers(services: Services, stored: str) -> dict[str, str]:
    try:
        return services.encryption.decode_headers(stored)
    except DecryptionError as error:
        raise unavailable(f"The headers cannot be read: {error}.") from error


async def _add(tx: Write, services: Services, app: App, draft: EndpointDraft, now: int) -> Endpoint:
    endpoint = _from_draft(app, draft, now)
    await _refuse_unknown(tx, app.org_id, draft.event_types or ())
    await _refuse_filter_beside_older_nodes(tx, None, endpoint)
    if await endpoints.has_at_least(tx, app.id, services.endpoints_max):
        raise bad_request(
            "limit_reached", f"An application has at most {services.endpoints_max} endpoints. Delete one first."
        )
    secret = services.encryption.encode_key(draft.secret or services.encryption.generate_key())
    headers = services.encryption.encode_headers(draft.headers)
    if not await endpoints.add(tx, endpoint, secret, headers):
        raise conflict()
    if endpoint.disabled:
        await health.note_disabled(tx, endpoint.id, now)
        endpoint = replace(endpoint, record=replace(endpoint.record, disabled_at=now))
    await routing.record_history(tx, endpoint.id, now)
    await notify(tx, services, app, endpoint, operational.ENDPOINT_CREATED)
    tx.after_commit(lambda: services.notifier.routing(app.id))
    return endpoint


async def _rewrite(tx: Write, services: Services, app: App, before: Endpoint, edited: Endpoint) -> Endpoint:
    """Store an edited endpoint, and emit the operational events that follow from the edit."""
    await _refuse_filter_beside_older_nodes(tx, before, edited)
    [edited] = await health.with_recent(tx, [edited], services.now())
    endpoint = replace(edited, updated_at=services.now())
    await endpoints.change(tx, endpoint)
    await notify(tx, services, app, endpoint, operational.ENDPOINT_UPDATED)
    if endpoint.disabled and not before.disabled:
        await health.note_disabled(tx, endpoint.id, endpoint.updated_at)
        endpoint = replace(endpoint, record=replace(endpoint.record, disabled_at=endpoint.updated_at))
        await notify(tx, services, app, endpoint, operational.ENDPOINT_DISABLED, failSince=None, trigger="manual")
    if before.disabled and not endpoint.disabled:
        await health.reset(tx, endpoint.id)
        await notify(tx, services, app, endpoint, operational.ENDPOINT_ENABLED)
        endpoint = replace(endpoint, record=NO_FAILURES)
    await routing.record_history(tx, endpoint.id, endpoint.updated_at)
    if endpoint.has_same_delivery_settings(before):
        tx.after_commit(lambda: services.notifier.routing(app.id))
    else:
        refresh_after_commit(tx, services, endpoint)
    return endpoint


def refresh_after_commit(tx: Write, services: Services, endpoint: Endpoint) -> None:
    """Refresh this process's caches of an endpoint after the commit."""

    def refresh() -> None:
        services.notifier.routing(endpoint.app_id)
        services.notifier.endpoints([endpoint.id])

    tx.after_commit(refresh)


async def notify(
    tx: Write,
    services: Services,
    app: App,
    endpoint: Endpoint,
    type_: str,
    **more: Any,  # noqa: ANN401 - JSON
) -> None:
    """Emit an operational event about an endpoint."""
    data = {"appId": app.id, "appUid": app.uid, "endpointId": endpoint.id, "endpointUid": endpoint.uid, **more}
    await operational.emit(tx, app.org_id, type_, data, services.now())


async def _refuse_unknown(read: Read, org_id: OrgId, names: tuple[str, ...]) -> None:
    """Refuse unknown event types; an event type that is archived later stays in the endpoint's filter."""
    known = await event_types.known(read, org_id, names) if names else set()
    missing = [name for name in names if name not in known]
    if missing:
        detail = f"The following event types don't exist: {', '.join(missing)}"
        raise invalid(Fault(("body", "eventTypes"), detail))


async def _refuse_filter_beside_older_nodes(read: Read, before: Endpoint | None, after: Endpoint) -> None:
    """Raise a conflict if a new payload filter would not be applied by a running node of an older release."""
    if after.filter is not None and (before is None or before.filter != after.filter):
        await releases.require(read, releases.DISPATCH, "A payload filter")


def _from_draft(app: App, draft: EndpointDraft, now: int) -> Endpoint:
    return Endpoint(
        id=EndpointId(new(ENDPOINT, now)),
        app_id=app.id,
        org_id=app.org_id,
        url=draft.url,
        description=draft.description,
        uid=draft.uid,
        version=draft.version,
        disabled=draft.disabled,
        event_types=draft.event_types,
        channels=draft.channels,
        throttle_rate=draft.throttle_rate,
        metadata=draft.metadata,
        filter=draft.filter,
        created_at=now,
        updated_at=now,
    )


async def get(services: Services, app: App, ref: str) -> Endpoint:
    """Return an endpoint by its id or uid, with the totals of its recent attempts."""
    async with services.db.read() as read:
        [endpoint] = await health.with_recent(read, [await endpoints.get(read, app.id, ref)], services.now())
    return endpoint


async def urls(services: Services, org_ids: Collection[OrgId], endpoint_ids: Sequence[str]) -> dict[str, str]:
    """Return the URLs of the endpoints of some organizations by their ids."""
    async with services.db.read() as read:
        found = await endpoints.by_ids(read, endpoint_ids) if endpoint_ids else {}
    return {endpoint.id: endpoint.url for endpoint in found.values() if endpoint.org_id in org_ids}


async def page(services: Services, app: App, cursor: Cursor) -> Page[Endpoint]:
    """Return a page of an application's endpoints, with the totals of their recent attempts."""
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, cursor.window(), ENDPOINT)
        rows = await endpoints.page(read, app.id, window)
        rows = await health.with_recent(read, rows, services.now())
    return cursor.page(rows, lambda endpoint: endpoint.id)
