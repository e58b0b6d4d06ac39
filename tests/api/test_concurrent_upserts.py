# SPDX-License-Identifier: MIT
"""Concurrent upserts each return 200 or 201, never a conflict, and leave one row."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.conftest import opened_api
from api.kit import ORG, Api, Json
from postgres import Server
from tidings.storage.drivers.database import Database, Write
from tidings.storage.drivers.store import opened

MANY = 20
REPEATS = 10
MESSAGE: Json = {"eventType": "a.b", "payload": {}}
NEW: Json = {"name": "n", "uid": "new"}
SCRIPT = "function handler(webhook) { return webhook }"
CONNECTOR: Json = {"name": "n", "transformation": SCRIPT}
ENVIRONMENT: Json = {"version": 1, "connectors": [{**CONNECTOR, "uid": "new"}]}


async def _call(api: Api, method: str, path: str, **more: Any) -> httpx.Response:
    """Call as a client does: repeat a request that a busy machine did not admit in time, as its response says.

    A database on a busy machine makes requests wait longer than any of its timeouts. How often work that met another
    writer is repeated within one request is a fact of `retried`.
    """
    response = await api.call(method, path, **more)
    for _ in range(REPEATS):
        if response.status_code != 503:
            break
        assert "repeat the request later" in response.json()["detail"]
        response = await api.call(method, path, **more)
    return response


async def _all_at_once(api: Api, method: str, path: str, body: Callable[[int], Json]) -> list[tuple[int, Any]]:
    """Make many concurrent calls; every call has its own body."""
    answers = await asyncio.gather(*(_call(api, method, path, json=body(number)) for number in range(MANY)))
    return [(each.status_code, each.json()) for each in answers]


def _named(uid: str, number: int) -> Json:
    return {"name": f"{number}", "uid": uid}


async def test_concurrent_puts_create_one_event_type(api: Api) -> None:
    for turn in range(3):
        answers = await _all_at_once(api, "PUT", f"/event-type/t{turn}", lambda number: {"description": f"{number}"})

        assert [200] * (MANY - 1) + [201] == sorted(status for status, _ in answers)
        assert (await api.read(f"/event-type/t{turn}"))["description"] in {body["description"] for _, body in answers}
    assert 3 == len((await api.read("/event-type"))["data"])


async def test_concurrent_puts_create_one_application(api: Api) -> None:
    for uid in ("one", "two", "three"):
        answers = await _all_at_once(api, "PUT", f"/app/{uid}", partial(_named, uid))

        assert [200] * (MANY - 1) + [201] == sorted(status for status, _ in answers)
        assert 1 == len({body["id"] for _, body in answers})


async def test_concurrent_puts_create_one_endpoint(api: Api) -> None:
    app = await api.app()

    answers = await _all_at_once(
        api, "PUT", f"/app/{app}/endpoint/new", lambda number: {"url": f"http://a/{number}", "uid": "new"}
    )

    assert [200] * (MANY - 1) + [201] == sorted(status for status, _ in answers)
    assert 1 == len({body["id"] for _, body in answers}) == len((await api.read(f"/app/{app}/endpoint"))["data"])


async def test_concurrent_get_or_create_requests_create_one_application(api: Api) -> None:
    answers = await _all_at_once(api, "POST", "/app?get_if_exists=true", lambda number: {**NEW, "name": f"{number}"})

    assert [200] * (MANY - 1) + [201] == sorted(status for status, _ in answers)
    assert 1 == len({body["id"] for _, body in answers})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/app/new/msg", {**MESSAGE, "application": NEW}, 202),
        ("/auth/app-portal-access/new", {"application": NEW}, 200),
    ],
)
async def test_concurrent_messages_create_one_implicit_application(
    api: Api, path: str, body: Json, status: int
) -> None:
    answers = await _all_at_once(api, "POST", path, lambda _: body)

    assert {status} == {each for each, _ in answers}
    assert 1 == len((await api.read("/app"))["data"])


async def test_a_put_with_the_uid_of_another_application_is_still_a_conflict(api: Api) -> None:
    await api.app(uid="taken")

    answers = await _all_at_once(api, "PUT", "/app/other", lambda _: {"name": "n", "uid": "taken"})

    assert {409} == {status for status, _ in answers}


@pytest.mark.parametrize(
    ("method", "path", "body", "removed"),
    [
        ("PUT", "/app/new", NEW, "/app/new"),
        ("POST", "/app?get_if_exists=true", NEW, "/app/new"),
        ("POST", "/auth/app-portal-access/new", {"application": NEW}, "/app/new"),
        ("PUT", "/event-type/new", {"description": ""}, "/event-type/new?expunge=true"),
    ],
)
async def test_an_upsert_beside_concurrent_deletions_succeeds(
    api: Api, method: str, path: str, body: Json, removed: str
) -> None:
    async def deleted() -> list[tuple[int, Any]]:
        for _ in range(MANY):
            assert (await _call(api, "DELETE", removed)).status_code in (204, 404)
        return []

    rounds = [_all_at_once(api, method, path, lambda _: body) for _ in range(3)]
    answers = [each for found in await asyncio.gather(deleted(), *rounds, deleted()) for each in found]

    assert {200, 201} >= {status for status, _ in answers}, [each for each in answers if each[0] > 201][:2]


# --- another request that creates and deletes the row again and again

_ADD = {
    "application": "INSERT INTO application (id, org_id, uid, name, metadata, created_at, updated_at, routed_at)"
    " VALUES ('app_rival', :org, 'new', 'rival', '{}', 1, 1, 1)",
    "connector": "INSERT INTO connector (id, org_id, uid, name, description, kind, instructions, transformation,"
    " version, product_type, created_at, updated_at, transformation_updated_at)"
    " VALUES ('cntr_rival', :org, 'new', 'rival', '', 'Custom', '', 'x', 1, 'Dispatch', 1, 1, 1)",
    "event_type": "INSERT INTO event_type (org_id, name, description, created_at, updated_at)"
    " VALUES (:org, 'new', 'rival', 1, 1)",
}


def _add(table: str) -> str:
    return f"{_ADD[table]} ON CONFLICT DO NOTHING"


def _delete(table: str) -> str:
    """Return a statement that deletes the row; a locked one it leaves, where another node would wait."""
    return (
        f"DELETE FROM {table} WHERE org_id IN (SELECT org_id FROM {table} WHERE org_id = :org FOR UPDATE SKIP LOCKED)"
    )


@pytest_asyncio.fixture
async def shared(postgres_template: str, postgres_cluster: Server) -> AsyncIterator[tuple[Api, Database]]:
    """Give the API on PostgreSQL, and a second pool of connections, as another node has it."""
    name = postgres_cluster.create_database(template=postgres_template)
    async for api in opened_api(postgres_cluster.dsn(name)):
        other = await opened(postgres_cluster.dsn(name))
        yield api, other
        await other.close()
    postgres_cluster.drop_database(name)


class Contended:
    """A database in which another node runs a statement before each transaction, and one before each statement of it.

    The latter is for those that begin with `place`.
    """

    def __init__(self, db: Database, other: Database, at_begin: str, place: str, before: str) -> None:
        self._db, self._other = db, other
        self._at_begin, self._place, self._before = at_begin, place, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    @contextlib.asynccontextmanager
    async def write(self, **more: Any) -> AsyncIterator[Any]:
        await self._commit(self._at_begin)
        async with self._db.write(**more) as tx:
            yield _ContendedWrite(tx, self)

    async def meet(self, sql: object) -> None:
        if str(sql).strip().startswith(self._place):
            await self._commit(self._before)

    async def _commit(self, sql: str) -> None:
        async with self._other.write() as tx:
            await tx.run(sql, org=ORG)


class _ContendedWrite:
    def __init__(self, tx: Write, db: Contended) -> None:
        self._tx, self._db = tx, db

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def run(self, sql: Any, **values: Any) -> int:
        await self._db.meet(sql)
        return await self._tx.run(sql, **values)


@pytest.mark.parametrize(
    ("method", "path", "body", "table"),
    [
        ("PUT", "/app/new", NEW, "application"),
        ("POST", "/app?get_if_exists=true", NEW, "application"),
        ("PUT", "/event-type/new", {"description": ""}, "event_type"),
        ("PUT", "/connector/new", CONNECTOR, "connector"),
        ("POST", "/environment/import", ENVIRONMENT, "connector"),
    ],
)
async def test_an_upsert_does_not_lose_to_another_node_that_creates_and_deletes(
    shared: tuple[Api, Database], method: str, path: str, body: Json, table: str
) -> None:
    """A row that appeared since the upsert looked for it is replaced in the same transaction."""
    api, other = shared
    contended: Any = Contended(api.db, other, _delete(table), f"INSERT INTO {table} (", _add(table))

    response = await api.over(contended).call(method, path, json=body)

    assert response.status_code in (200, 204), response.text
    async with other.read() as read:
        names = [row["name"] for row in await read.rows(f"SELECT name FROM {table}")]
    assert [{"/event-type/new": "new", "/app?get_if_exists=true": "rival"}.get(path, "n")] == names


@pytest.mark.parametrize(
    ("method", "path", "body", "table"),
    [
        ("PUT", "/app/new", NEW, "application"),
        ("PUT", "/event-type/new", {"description": ""}, "event_type"),
        ("PUT", "/connector/new", CONNECTOR, "connector"),
        ("POST", "/environment/import", ENVIRONMENT, "connector"),
    ],
)
async def test_a_row_that_an_upsert_has_found_is_not_deleted_before_it_is_replaced(
    shared: tuple[Api, Database], method: str, path: str, body: Json, table: str
) -> None:
    api, other = shared
    contended: Any = Contended(api.db, other, _add(table), f"UPDATE {table} ", _delete(table))

    response = await api.over(contended).call(method, path, json=body)

    assert response.status_code in (200, 204), response.text
