# SPDX-License-Identifier: MIT
"""The delivery role against a real receiver: first sends, retries, spill, lost leases, stopping."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest

from database_proxy import DatabaseProxy
from message_path import Path, add_app, add_endpoint, running, terms
from tidings.clock import SystemClock
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.attempt import DeliveryEnd
from tidings.model.delivery import Mode
from tidings.observe import counters
from tidings.storage.drivers.database import Database, Read, Write
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import deliveries, intake
from tidings.storage.tables.deliveries import ManualSend
from tidings.storage.tables.intake import DeliveryRow

ANSWER = b"HTTP/1.1 %d X\r\n%bContent-Length: 2\r\n\r\nok"


class Door:
    """A receiver with a configurable response that remembers every message."""

    def __init__(self) -> None:
        self.status = 200
        self.fields = b""
        self.seen: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.open.set()
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.asked.set()
                await self.open.wait()
                self.seen.append(head.split(b"svix-id: ")[1].split(b"\r\n")[0].decode())
                writer.write(ANSWER % (self.status, self.fields))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def test_accepted_messages_arrive_once_and_leave_one_attempt_each(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)

        async with running(db, delivering=terms()) as path:
            accepted = await asyncio.gather(*(path.send(app) for _ in range(200)))
            await path.settled()
            attempts = await path.rows(
                "SELECT msg_id, status, response_status_code, response, trigger_type FROM attempt"
            )

    assert sorted(each.id.lower() for each in accepted) == sorted(door.seen)
    assert sorted((each.id, 0, 200, "ok", 0) for each in accepted) == sorted(attempts)


async def test_a_burst_beyond_memory_is_spilled_and_delivered(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.open.clear()

        async with running(db, delivering=terms(memory=50, concurrency=5, timeout=20.0, lease_grace=25.0)) as path:
            accepted = await asyncio.gather(*(path.send(app) for _ in range(600)))
            later = await asyncio.gather(*(path.send(app) for _ in range(100)))
            assert await path.count("delivery WHERE lease IS NULL") > 0
            door.open.set()
            await path.settled()

    assert sorted(each.id.lower() for each in [*accepted, *later]) == sorted(door.seen)


async def test_a_failing_delivery_follows_the_retry_schedule_to_its_end(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms(schedule=(0, 0))) as path:
            accepted = await path.send(app)
            await path.until("attempt", 3)
            await path.until("delivery", 0)
            attempts = await path.rows("SELECT number, response_status_code, ended FROM attempt ORDER BY number")

    assert [accepted.id.lower()] * 3 == door.seen
    assert [(1, 500, None), (2, 500, None), (3, 500, DeliveryEnd.EXHAUSTED)] == attempts


async def test_a_manual_send_is_attempted_once_with_the_manual_trigger(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms()) as path:
            accepted = await path.send(app)
            await path.settled()
            door.status = 200
            async with db.write() as tx:
                ask = ManualSend(accepted.id, endpoint, app, "org_x", 1, Mode.UNLESS_DELIVERED, "qtask_x")
                await deliveries.schedule_manual_sends(tx, [ask], SystemClock().now())
            assert path.delivery is not None
            path.delivery.sink.notify_backlog([endpoint])
            await path.until("attempt", 2)
            await path.until("delivery", 0)
            attempts = await path.rows("SELECT status, trigger_type, task_id FROM attempt ORDER BY 2")

    assert [(2, 0, None), (0, 1, "qtask_x")] == attempts


async def test_a_forbidden_address_is_a_failed_attempt_with_the_reason(db: Database) -> None:
    app = await add_app(db)
    await add_endpoint(db, app, "http://10.0.0.1/")

    async with running(db, delivering=terms()) as path:
        await path.send(app)
        await path.settled()
        [(code, text)] = await path.rows("SELECT response_status_code, response FROM attempt")

    assert code == 0
    assert "blocked" in text


async def test_stopping_hands_back_unsent_deliveries_and_cuts_hanging_sends(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.open.clear()

        async with running(db, delivering=terms(concurrency=5, timeout=20.0, lease_grace=25.0)) as path:
            await asyncio.gather(*(path.send(app) for _ in range(30)))
            assert path.delivery is not None
            await path.delivery.stop(grace=0.1)
            attempts = await path.count("attempt")
            rows = await path.rows("SELECT lease, attempts FROM delivery")

    assert attempts == 0
    assert [(None, 0)] * 30 == rows


class Slow(DatabaseProxy):
    """A database whose background writes take a while."""

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        async with self.db.write(**options) as tx:
            if options.get("background"):
                await asyncio.sleep(0.05)
            yield tx


async def test_stopping_waits_for_settlement_while_it_progresses(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)

        tuning = DeliveryTuning(settle_batch=1, settle_longest_pause_seconds=1.0)
        async with running(Slow(db), delivering=terms(), tuning=tuning) as path:
            await asyncio.gather(*(path.send(app) for _ in range(25)))
            while len(door.seen) < 25:  # noqa: ASYNC110 - the receiver offers no event
                await asyncio.sleep(0.001)

        assert await path.count("attempt") == 25
        assert await path.count("delivery") == 0


async def test_the_next_process_sends_the_remaining_deliveries(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        async with running(db) as path:
            accepted = await asyncio.gather(*(path.send(app) for _ in range(100)))

        async with running(db, delivering=terms()) as path:
            await path.settled()

    assert sorted(each.id.lower() for each in accepted) == sorted(door.seen)


async def test_pending_deliveries_of_a_disabled_endpoint_are_removed_unsent(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        async with running(db) as path:
            await asyncio.gather(*(path.send(app) for _ in range(10)))
            async with db.write() as tx:
                await tx.run("UPDATE endpoint SET disabled = 1")

        async with running(db, delivering=terms()) as path:
            await path.settled()
            attempts = await path.count("attempt")

    assert (attempts, door.seen) == (0, [])


async def test_a_response_that_no_database_can_store_is_kept_as_base64(db: Database) -> None:
    app = await add_app(db)

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\na\0b")
        writer.close()

    server = await asyncio.start_server(odd, "127.0.0.1", 0)
    async with server:
        await add_endpoint(db, app, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        async with running(db, delivering=terms()) as path:
            await path.send(app)
            await path.settled()
            rows = await path.rows("SELECT response, status FROM attempt")

    assert [("YQBi", 0)] == rows


async def test_one_send_at_a_time_is_enough_to_drain_a_backlog(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        async with running(db) as path:
            accepted = await asyncio.gather(*(path.send(app) for _ in range(30)))

        async with running(db, delivering=terms(concurrency=1)) as path:
            await path.settled()

    assert sorted(each.id.lower() for each in accepted) == sorted(door.seen)


class Faulty(DatabaseProxy):
    """A database whose first two claims fail before their commit."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.faults = [RuntimeError("a fault"), RuntimeError("another")]

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        async with self.db.write(**options) as tx:
            yield tx
            if self.faults and await tx.rows("SELECT 1 FROM delivery WHERE lease IS NOT NULL"):
                raise self.faults.pop()


async def test_claiming_continues_after_a_fault(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        async with running(db) as path:
            accepted = await path.send(app)

        faulty, tuning = Faulty(db), DeliveryTuning(claim_error_pause_seconds=0.01)
        async with running(faulty, delivering=terms(), tuning=tuning) as path:
            await path.settled()

    assert faulty.faults == []
    assert door.seen == [accepted.id.lower()]


async def test_an_expired_lease_that_another_transaction_holds_causes_no_busy_loop(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await opened(postgres_dsn), await opened(postgres_dsn)
    await migrate(one)
    app = await add_app(one)
    endpoint = await add_endpoint(one, app, "http://127.0.0.1:9/")
    async with one.write() as tx:
        await intake.add_deliveries(tx, [DeliveryRow("msg_x", endpoint, app, "org_x", 1, 7, 1)])

    before = counters["failures"]
    async with other.write() as holder:
        await holder.rows("SELECT 1 FROM delivery FOR UPDATE")
        async with running(one, delivering=terms()) as path:
            looks = await _looks(path, monkeypatch, seconds=0.5)

    await one.close()
    await other.close()
    assert looks < 30
    assert counters["failures"] == before


async def _looks(path: Path, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> int:
    """Count how often the claimer queries the database in a while."""
    looks = 0
    sound = deliveries.due_times

    async def counted(read: Read, now: int) -> deliveries.DueTimes:
        nonlocal looks
        looks += 1
        return await sound(read, now)

    monkeypatch.setattr(deliveries, "due_times", counted)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(path.until("message", 1), seconds)  # nothing ends this wait but its timeout
    return looks
