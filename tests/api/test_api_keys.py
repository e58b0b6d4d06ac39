# SPDX-License-Identifier: MIT
"""API keys as bearer tokens: what each scope reaches, and how a key ends."""

import asyncio

import pytest

from api.kit import ORG, Api, Json
from api.task_kit import stored
from api.test_task_stream import reading
from tidings.api.routes import PREFIX, Access, AnyRoute
from tidings.clock import DAY, HOUR, ManualClock
from tidings.core import api_keys
from tidings.core.api_keys import NewKey
from tidings.core.keyring import Keyring
from tidings.core.tuning import CoreTuning
from tidings.errors import AppError
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.model import api_key
from tidings.model.api_key import KeyScope
from tidings.model.task import State
from tidings.storage.drivers.store import opened
from tidings.table import TABLE

OTHER = OrgId("org_other")
FORBIDDEN = {"code": "insufficient access", "detail": "Insufficient access for the given operation."}
READS = {"v1.message.precheck", "v1.message.preview-filter", "v1.environment.export"}
"""Operations that only read although their method is not GET. A new one needs a reason here."""


async def _revoke(api: Api, made: NewKey, *, after_ms: int = 0) -> None:
    now = api.clock.now()
    await api_keys.revoke(api.db, None, made.key.id, now, after_ms=after_ms, changed=api.context.services.notifier.keys)


async def _answer(api: Api, token: str, path: str = "/app") -> tuple[int, str]:
    response = await api.get(path, token=token)
    body: Json = response.json()
    return response.status_code, body.get("detail", "")


def _path(route: AnyRoute, app: str, endpoint: str = "ep_1") -> str:
    path = route.path.replace("{app_id}", app).replace("{endpoint_id}", endpoint)
    return PREFIX + path.replace("{", "a-").replace("}", "")


# ----------------------------------------------------------------------------------------------------------------------
# The text of a key


def test_a_key_has_a_prefix_and_a_checksum() -> None:
    texts = {api_key.new_text() for _ in range(200)}

    assert 200 == len(texts)
    for text in texts:
        assert text.startswith("tidings_")
        assert 57 == len(text)
        assert "." not in text  # the SDKs take what follows a dot for a region
        assert api_key.is_well_formed(text)
        assert not api_key.is_well_formed(text[:-1] + ("0" if text[-1] != "0" else "1"))
        assert not api_key.is_well_formed(text[:20] + ("a" if text[20] != "a" else "b") + text[21:])
        assert api_key.hash_of(text)[-4:] != api_key.hint_of(text)


@pytest.mark.parametrize("bad", ["tidings_", "tidings_" + "x" * 49, "tidings_" + "é" * 49, "tidings_" + "0" * 500])
async def test_a_mistyped_key_costs_no_query(lite: Api, bad: str) -> None:
    response = await lite.client.get("/api/v1/app", headers={b"authorization": f"Bearer {bad}".encode("latin-1")})

    assert 401 == response.status_code
    assert "authentication_failed" == response.json()["code"]
    assert "checksum" in response.json()["detail"]
    with pytest.raises(AppError):  # and not KeyLookup: this call could not make a query
        lite.context.gatekeeper.principal(f"Bearer {bad}".encode("latin-1"))


async def test_a_key_that_does_not_exist_is_refused(api: Api) -> None:
    assert (401, "The API key does not exist.") == await _answer(api, api_key.new_text())
    response = await api.post("/app/any/msg", token=api_key.new_text(), json={"eventType": "a", "payload": {}})
    assert (401, "The API key does not exist.") == (response.status_code, response.json()["detail"])


# ----------------------------------------------------------------------------------------------------------------------
# What a key reaches


async def test_a_key_of_an_organization_works_like_its_token(api: Api) -> None:
    key = (await api.key()).text
    app = await api.app()

    assert 200 == (await api.get(f"/app/{app}", token=key)).status_code
    for _ in range(2):  # the first one looks the key up
        response = await api.post(f"/app/{app}/msg", token=key, json={"eventType": "a", "payload": {}})
        assert 202 == response.status_code
    assert 404 == (await api.get(f"/app/{app}", token=(await api.key(org=OTHER)).text)).status_code


async def test_a_key_never_reaches_another_organization(lite: Api) -> None:
    """Every response to another organization's key is the same whether or not the resource exists."""
    app = await lite.app(uid="mine")
    endpoint = await lite.endpoint(app)
    headers = {"authorization": f"Bearer {(await lite.key(org=OTHER)).text}"}
    body = b'{"name": "a", "url": "http://a", "eventType": "a", "payload": {}, "description": ""}'
    before = await _rows(lite)

    for route in (each for each in TABLE if each.access is not Access.OPEN):
        answers = []
        for ref in (app, "absent"):
            url = _path(route, ref, endpoint)
            response = await lite.client.request(route.method, url, headers=headers, content=body)
            answers.append((response.status_code, response.text))
            assert app not in response.text, route.operation
            assert endpoint not in response.text, route.operation
        if route.has_app:
            assert 404 == answers[0][0], route.operation
            assert answers[0] == answers[1], route.operation
    assert before == await _rows(lite)


async def _rows(api: Api) -> list[list[object]]:
    found = []
    async with api.db.read() as read:
        for table in ("application", "endpoint", "message", "delivery", "attempt", "event_type", "task", "token_end"):
            owner = "'x'" if table in ("delivery", "token_end") else "org_id"
            # The application of another organization's operational endpoints is one of the installation.
            sql = f"SELECT count(*) AS n FROM {table} WHERE {owner} NOT IN (:other, :management)"
            found.append(list(await read.one(sql, other=OTHER, management=MANAGEMENT_ORG)))
    return found


async def test_a_key_of_an_application_reaches_that_one_only(api: Api) -> None:
    app, other = await api.app(uid="mine"), await api.app(uid="other")
    key = (await api.key(KeyScope.APPLICATION, app="mine")).text

    for ref in (app, "mine"):
        assert 200 == (await api.get(f"/app/{ref}", token=key)).status_code
    for ref in (other, "other", "absent"):
        assert 404 == (await api.get(f"/app/{ref}/endpoint", token=key)).status_code
    assert (403, FORBIDDEN["detail"]) == await _answer(api, key)
    assert 403 == (await api.post("/app/mine/msg", token=key, json={"eventType": "a", "payload": {}})).status_code
    assert 201 == (await api.post("/app/mine/endpoint", token=key, json={"url": "http://a"})).status_code
    assert 403 == (await api.post("/auth/logout", token=key)).status_code


async def test_an_application_of_another_organization_gets_no_key(api: Api) -> None:
    app = await api.app()
    with pytest.raises(Exception, match="Entity not found"):
        await api.key(KeyScope.APPLICATION, org=OTHER, app=app)


@pytest.mark.parametrize("scope", [KeyScope.ORGANIZATION, KeyScope.APPLICATION])
async def test_a_read_only_key_is_refused_by_each_route_that_writes_or_reveals_a_secret(
    lite: Api, scope: KeyScope
) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)
    key = (await lite.key(scope, app=app, read_only=True)).text
    full = (await lite.key(scope, app=app)).text
    writing = [route for route in TABLE if route.method != "GET" and route.operation not in READS]
    revealing = [route for route in TABLE if "secret" in route.path or "secret" in route.operation]

    for route in {each.operation: each for each in (*writing, *revealing)}.values():
        if route.access is Access.OPEN:
            continue
        response = await lite.client.request(
            route.method,
            _path(route, app, endpoint),
            headers={"authorization": f"Bearer {key}"},
            content=b"nonsense",
        )
        assert (403, FORBIDDEN) == (response.status_code, response.json()), route.operation
    assert 200 == (await lite.get(f"/app/{app}/endpoint/{endpoint}/secret", token=full)).status_code
    assert 200 == (await lite.get(f"/app/{app}/endpoint/{endpoint}", token=key)).status_code


def test_a_read_only_key_may_use_each_route_that_reads() -> None:
    marked = {route.operation for route in TABLE if route.is_read}

    assert READS == marked
    assert all(route.method != "GET" for route in TABLE if route.is_read)


async def test_an_operators_key_reaches_no_data_of_an_organization(lite: Api) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)
    key = (await lite.key(KeyScope.OPERATOR)).text

    for route in TABLE:
        if route.access in (Access.OPEN, Access.OPERATOR, Access.ORG_OR_OPERATOR):
            continue
        response = await lite.client.request(
            route.method, _path(route, app, endpoint), headers={"authorization": f"Bearer {key}"}, content=b"nonsense"
        )
        assert (403, FORBIDDEN) == (response.status_code, response.json()), route.operation


async def test_an_operators_route_refuses_all_others(lite: Api) -> None:
    app = await lite.app()
    others = [lite.token, (await lite.key()).text, (await lite.key(KeyScope.APPLICATION, app=app)).text]
    for route in TABLE:
        if route.access is Access.OPERATOR:
            for token in others:
                response = await lite.call(route.method, _path(route, app).removeprefix(PREFIX), token=token)
                assert 403 == response.status_code, route.operation


# ----------------------------------------------------------------------------------------------------------------------
# The end of a key


async def test_a_key_expires_at_once(api: Api) -> None:
    key = (await api.key(lifetime_ms=HOUR)).text
    app = await api.app()
    api.clock.advance(HOUR - 5)
    assert 200 == (await api.get(f"/app/{app}", token=key)).status_code

    api.clock.advance(5)

    assert (401, "The API key has expired.") == await _answer(api, key)
    response = await api.post(f"/app/{app}/msg", token=key, json={"eventType": "a", "payload": {}})
    assert (401, "The API key has expired.") == (response.status_code, response.json()["detail"])


async def test_a_revoked_key_is_refused_although_it_was_cached(api: Api) -> None:
    made = await api.key()
    app = await api.app()
    body = {"eventType": "a", "payload": {}}
    assert 202 == (await api.post(f"/app/{app}/msg", token=made.text, json=body)).status_code

    await _revoke(api, made)

    assert (401, "The API key was revoked.") == await _answer(api, made.text)
    response = await api.post(f"/app/{app}/msg", token=made.text, json=body)
    assert (401, "The API key was revoked.") == (response.status_code, response.json()["detail"])


async def test_a_revocation_can_be_delayed_but_not_postponed(api: Api) -> None:
    made = await api.key()
    await _revoke(api, made, after_ms=HOUR)
    await _revoke(api, made, after_ms=DAY)
    assert 200 == (await _answer(api, made.text))[0]

    api.clock.advance(HOUR)

    assert (401, "The API key was revoked.") == await _answer(api, made.text)


async def test_another_node_hears_of_a_revocation(migrated_url: str, api: Api) -> None:
    """The other node's keyring trusts what it read for two seconds after its last heartbeat query, and no longer."""
    made = await api.key()
    db = await opened(migrated_url) if not api.db.has_one_writer else api.db
    clock = ManualClock()
    keyring = Keyring(db, clock)
    header = f"Bearer {made.text}".encode()
    keyring.hear({}, asked_at=clock.monotonic(), now=clock.now())
    await keyring.look_up(header, made.text)
    await api_keys.revoke(api.db, None, made.key.id, clock.now(), changed=lambda _: None)
    assert keyring.cached(header) is not None

    keyring.hear({made.key.id: 2}, asked_at=clock.monotonic(), now=clock.now())

    assert keyring.cached(header) is None
    with pytest.raises(Exception, match="revoked"):
        await keyring.look_up(header, made.text)
    if db is not api.db:
        await db.close()


async def test_a_node_that_hears_of_deleted_keys_reads_all_of_them_again(api: Api) -> None:
    made = await api.key()
    keyring, header = Keyring(api.db, api.clock), f"Bearer {made.text}".encode()
    heard: list[None] = []
    keyring.on_change = lambda: heard.append(None)
    for mark in (None, "a", "a"):
        keyring.hear({}, mark, asked_at=api.clock.monotonic(), now=api.clock.now())
        await keyring.look_up(header, made.text)
    assert (True, 1) == (keyring.cached(header) is not None, len(heard))

    keyring.hear({}, "b", asked_at=api.clock.monotonic(), now=api.clock.now())

    assert (None, 2) == (keyring.cached(header), len(heard))


async def test_a_node_without_heartbeats_asks_the_database(api: Api) -> None:
    made = await api.key()
    clock = ManualClock()
    keyring = Keyring(api.db, clock)
    header = f"Bearer {made.text}".encode()
    keyring.hear({}, asked_at=clock.monotonic(), now=clock.now())
    await keyring.look_up(header, made.text)
    clock.advance(2_000)
    assert keyring.cached(header) is not None

    clock.advance(1)

    assert (keyring.cached(header) is None) == (not api.db.has_one_writer or clock.monotonic() > 2)


async def test_a_key_that_changes_while_it_is_read_is_not_cached(api: Api) -> None:
    made = await api.key()
    header = f"Bearer {made.text}".encode()
    reading_it = asyncio.create_task(api.keyring.look_up(header, made.text))
    await asyncio.sleep(0)  # the lookup has begun

    api.keyring.drop(made.key.id)
    await reading_it

    assert api.keyring.cached(header) is None


async def test_an_open_stream_ends_with_its_key(api: Api) -> None:
    task_id = await stored(api, State.QUEUED)
    revoked, kept = await api.key(), await api.key()
    async with reading(api, task_id) as reader, reading(api, task_id) as other:
        reader.headers["authorization"] = f"Bearer {revoked.text}"
        other.headers["authorization"] = f"Bearer {kept.text}"
        await reader.has("created")
        await other.has("created")

        await _revoke(api, revoked)

        async with asyncio.timeout(10):  # the keep-alive of a stream is 15 seconds
            await reader.over.wait()
        assert not other.over.is_set()


async def test_the_last_use_is_recorded_apart_from_the_request(api: Api) -> None:
    made = await api.key()
    api.clock.advance(HOUR)
    await _answer(api, made.text)
    api.clock.advance(HOUR)
    used_at = api.clock.now()
    await _answer(api, made.text)
    assert (await api_keys.get(api.db, ORG, made.key.id)).last_used_at is None

    await api.keyring.record_uses()
    assert used_at == (await api_keys.get(api.db, ORG, made.key.id)).last_used_at
    await api.keyring.record_uses()


# ----------------------------------------------------------------------------------------------------------------------
# Bounds


async def test_an_organization_has_a_limited_number_of_keys(api: Api) -> None:
    tuning = CoreTuning(keys_per_organization=2)
    draft = api_keys.KeyDraft(ORG, "n", api_keys.KeyRights(KeyScope.ORGANIZATION), "test")
    first = await api_keys.create(api.db, draft, api.clock.now(), tuning)
    await api_keys.create(api.db, draft, api.clock.now(), tuning)

    with pytest.raises(Exception, match="has 2 API keys"):
        await api_keys.create(api.db, draft, api.clock.now(), tuning)
    await _revoke(api, first)
    with pytest.raises(Exception, match="has 2 API keys"):  # other nodes may not have heard of the end
        await api_keys.create(api.db, draft, api.clock.now(), tuning)

    api.clock.advance(tuning.ended_key_ms)
    await api_keys.create(api.db, draft, api.clock.now(), tuning)
    with pytest.raises(Exception, match="not found"):
        await api_keys.get(api.db, ORG, first.key.id)


async def test_the_key_of_an_application_ends_with_it(api: Api) -> None:
    app, other = await api.app(), await api.app()
    ended = await api.key(KeyScope.APPLICATION, app=app, lifetime_ms=DAY)
    kept = await api.key(KeyScope.APPLICATION, app=other)
    assert 200 == (await api.get("/event-type", token=ended.text)).status_code

    assert 204 == (await api.call("DELETE", f"/app/{app}")).status_code

    assert 401 == (await api.get("/event-type", token=ended.text)).status_code
    assert 200 == (await api.get("/event-type", token=kept.text)).status_code


async def test_an_ended_key_is_deleted_after_90_days(api: Api) -> None:
    made = await api.key()
    kept = await api.key()
    await _revoke(api, made)

    await api_keys.prune(api.db, api.clock.now() + 90 * DAY + 1)

    assert (401, "The API key does not exist.") == await _answer(api, made.text)
    assert 200 == (await _answer(api, kept.text))[0]
