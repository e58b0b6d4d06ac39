# SPDX-License-Identifier: MIT
"""Sends that a script changes: what arrives, what is recorded, and what waits, with real child processes."""

import asyncio
import base64
import hmac
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest

from delivery.client_kit import until
from delivery.test_health import again, record
from delivery.test_role import Door
from message_path import Path, add_app, add_endpoint, running, terms
from tidings.model.attempt_headers import from_text
from tidings.model.transformation import Script, Webhook
from tidings.observe import counters
from tidings.sandbox import pool
from tidings.sandbox.pool import Sandbox, SandboxOptions
from tidings.sandbox.process import Limits
from tidings.sandbox.requests import run_request
from tidings.storage.drivers.database import Database
from tidings.storage.tables import apps, transformations
from tidings.storage.tables.transformations import StoredTransformation

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

SLOW_MACHINE = 10.0
_ATTEMPTS = "SELECT status, response_status_code, response, url, number, ended, next_at FROM attempt ORDER BY id"


class Recording(Door):
    """A receiver that keeps each request: line, headers and body."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.echo = ""
        """Lines of headers in each response."""
        self.held: asyncio.Event | None = None
        """What each response waits for."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._record, "127.0.0.1", 0)
        return self

    async def _record(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
                headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((line, headers, body))
                if self.held is not None:
                    await self.held.wait()
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n%b\r\nok" % (self.status, self.echo.encode()))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def transform(db: Database, app: str, endpoint: str, code: str | None, **variables: str) -> None:
    async with db.write() as tx:
        await apps.advance_routing_version(tx, app, 0)  # type: ignore[arg-type] # an id
        stored = StoredTransformation(code, json.dumps(variables), enabled=True, updated_at=0)
        await transformations.put(tx, endpoint, stored)  # type: ignore[arg-type]


@asynccontextmanager
async def transforming(
    db: Database, *, seconds: float = SLOW_MACHINE, processes: int = 1, **changes: Any
) -> AsyncIterator[tuple[Path, Sandbox]]:
    sandbox = Sandbox(SandboxOptions(Limits(seconds), processes=processes))
    try:
        async with running(db, delivering=terms(**changes), sandbox=sandbox) as path:
            yield path, sandbox
    finally:
        await sandbox.close()


async def test_a_script_changes_the_request_and_the_signature_covers_what_is_sent(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        endpoint = await add_endpoint(db, app, door.url)
        code = """function handler(webhook) {
          webhook.method = "PUT";
          webhook.url = webhook.url.replace("/hook", "/other?x=1");
          webhook.headers = { "X-Type": webhook.eventType, "Content-Type": "text/plain" };
          webhook.payload = `n is ${webhook.payload.n}, ${webhook.env.NAME}`;
          return webhook;
        }"""
        await transform(db, app, endpoint, code, NAME="é")
        async with transforming(db) as (path, _):
            accepted = await path.send(app)
            await path.settled()
            attempts = await path.rows(_ATTEMPTS)
            [(secret,)] = await path.rows("SELECT secret FROM endpoint")
        url = door.url.replace("/hook", "/other?x=1")
    [(line, headers, body)] = door.requests
    assert line == "PUT /other?x=1 HTTP/1.1"
    assert (body, headers["x-type"], headers["content-type"]) == ("n is 1, é".encode(), "a.b", "text/plain")
    assert headers["svix-id"] == accepted.id
    key = bytes(secret)[-24:]
    signed = f"{accepted.id}.{headers['svix-timestamp']}.".encode() + body
    assert headers["svix-signature"].split(",")[1] == base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert [(0, 200, "ok", url, 1, None, None)] == attempts


async def test_a_payload_that_is_not_changed_arrives_byte_for_byte(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        await transform(db, app, await add_endpoint(db, app, door.url), "function handler(w) { return w }")
        async with transforming(db) as (path, _):
            await path.send(app, payload=b'{ "id": 12345678901234567890 }')
            await path.settled()
    assert [b'{ "id": 12345678901234567890 }'] == [body for _, _, body in door.requests]


async def test_a_script_that_fails_is_a_failed_attempt_and_the_present_script_runs_at_the_retry(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await transform(db, app, endpoint, "function handler(webhook) {\n  return webhook.a.b\n}")
        async with transforming(db, schedule=(1, 600)) as (path, _):
            await path.send(app)
            await path.until("attempt", 1)
            [(status, code, text, url, number, ended, next_at)] = await path.rows(_ATTEMPTS)
            assert (status, code, url, number, ended) == (2, 0, door.url, 1, None)
            assert text.startswith("transformation: TypeError: ")
            assert text.endswith("(line 2, column 10)")
            assert next_at is not None
            assert door.requests == []
            await transform(db, app, endpoint, "function handler(webhook) { return webhook }")
            path.routing.drop(app)
            await path.until("delivery", 0)
            assert [2, 0] == [row[0] for row in await path.rows(_ATTEMPTS)]
            assert not (await record(path, endpoint)).record.failing_since
    assert len(door.requests) == 1


async def test_a_canceled_message_ends_without_a_request_and_is_no_failure(db: Database) -> None:
    app = await add_app(db)
    before = counters["deliveries.delivered"]
    async with Recording() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await transform(db, app, endpoint, "function handler(w) { w.cancel = true; return w }")
        async with transforming(db, schedule=(1,)) as (path, _):
            accepted = await path.send(app)
            await path.until("attempt", 1)
            await path.until("delivery", 0)
            [(status, code, text, _, number, ended, next_at)] = await path.rows(_ATTEMPTS)
            await again(path, accepted.id, endpoint, app)
            await path.until("attempt", 2)
            await path.until("delivery", 0)
            statuses = [row[0] for row in await path.rows(_ATTEMPTS)]
            events = await path.count("operational_event")
    assert (status, code, number, ended, next_at) == (4, 0, 1, None, None)
    assert text == "canceled by the transformation; no request was made"
    assert (statuses, events, door.requests) == ([4, 4], 0, [])
    assert counters["deliveries.delivered"] == before


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://10.0.0.1/", "requests to this IP range are blocked"),
        ("http://169.254.169.254/latest", "requests to this IP range are blocked"),
        ("gopher://127.0.0.1/", "transformation: url: Endpoint URL schemes must be http or https"),
        ("not a url", "transformation: url: invalid URL"),
    ],
)
async def test_a_url_of_a_script_passes_the_guard_of_endpoint_urls(db: Database, url: str, text: str) -> None:
    app = await add_app(db)
    async with Recording() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await transform(db, app, endpoint, f"const handler = (w) => ({{ ...w, url: {url!r} }})")
        async with transforming(db) as (path, _):
            await path.send(app)
            await path.until("attempt", 1)
            [(status, code, found, _, _, _, _)] = await path.rows(_ATTEMPTS)
    assert (status, code, door.requests) == (2, 0, [])
    assert found.startswith(text)


async def test_an_endpoint_without_a_script_starts_no_process(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        await add_endpoint(db, app, door.url)
        await transform(db, app, await add_endpoint(db, app, door.url), None)
        async with transforming(db) as (path, sandbox):
            await path.send(app)
            await path.until("delivery", 0)
            assert sandbox.processes == []
    assert len(door.requests) == 2


async def test_without_the_extra_an_attempt_fails_with_the_reason(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.delivery.transforming.is_installed", lambda: False)
    app = await add_app(db)
    async with Recording() as door:
        await transform(db, app, await add_endpoint(db, app, door.url), "function handler(w) { return w }")
        async with transforming(db, schedule=(600,)) as (path, _):
            await path.send(app)
            await path.until("attempt", 1)
            [(status, _, text, _, _, _, next_at)] = await path.rows(_ATTEMPTS)
    assert (status, text, door.requests) == (2, f"transformation: {pool.MISSING}", [])
    assert next_at is not None


async def test_a_wait_for_a_process_that_is_too_long_is_no_attempt(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        await transform(db, app, await add_endpoint(db, app, door.url), "function handler(w) { return w }")
        async with transforming(db, lease_grace=0.5) as (path, sandbox):
            warm = asyncio.get_running_loop().create_future()
            request = run_request(Script("function handler(w) { return w }"), Webhook("", "", b"{}"))
            sandbox.start("ep_0", request, asyncio.get_running_loop().time() + 60, warm.set_result)
            await warm
            [pid] = sandbox.processes
            os.kill(pid, signal.SIGSTOP)
            held = asyncio.get_running_loop().create_future()
            sandbox.start("ep_0", request, asyncio.get_running_loop().time() + 60, held.set_result)
            before = counters["transformations.unstarted"]
            await path.send(app)
            await until(lambda: counters["transformations.unstarted"] >= before + 2)
            assert await path.count("attempt") == 0
            os.kill(pid, signal.SIGCONT)
            await path.until("delivery", 0)
    assert len(door.requests) == 1


async def test_a_stop_returns_transformed_sends_unsent(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        await transform(db, app, await add_endpoint(db, app, door.url), "function handler() { for (;;); }")
        async with transforming(db, seconds=60.0, lease_grace=40.0) as (path, sandbox):
            await path.send(app)
            await until(lambda: sandbox.running > 0)
        rows = await path.rows("SELECT lease, attempts FROM delivery")
    assert [(None, 0)] == rows
    assert sandbox.processes == []


ENDLESS = "function handler() { for (;;); }"
PLAIN = "function handler(w) { return w }"


async def test_a_change_of_the_script_during_a_run_returns_the_send_and_the_new_script_changes_it(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await transform(db, app, endpoint, ENDLESS)
        async with transforming(db, seconds=60.0, processes=2, lease_grace=90.0) as (path, sandbox):
            await path.send(app)
            await until(lambda: sandbox.running > 0)
            await transform(db, app, endpoint, "function handler(w) { w.payload = 'new'; return w }")
            path.routing.drop(app)
            assert path.delivery is not None
            path.delivery.refresh([endpoint])
            os.kill(sandbox.processes[0], signal.SIGKILL)  # the run that nobody waits for occupies the endpoint
            await path.until("delivery", 0)
            statuses = [row[0] for row in await path.rows(_ATTEMPTS)]
    assert [0] == statuses
    assert [b"new"] == [body for _, _, body in door.requests]


@pytest.mark.parametrize("change", ["disabled = 1", "deleted_at = 1"])
async def test_nothing_is_sent_to_an_endpoint_that_is_disabled_or_deleted_during_a_run(
    db: Database, change: str
) -> None:
    app = await add_app(db)
    async with Recording() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await transform(db, app, endpoint, ENDLESS)
        async with transforming(db, seconds=60.0, lease_grace=90.0) as (path, sandbox):
            await path.send(app)
            await until(lambda: sandbox.running > 0)
            async with db.write() as tx:
                await apps.advance_routing_version(tx, app, 0)  # type: ignore[arg-type] # an id
                await tx.run(f"UPDATE endpoint SET {change}")
            path.routing.drop(app)
            assert path.delivery is not None
            path.delivery.refresh([endpoint])
            await path.until("delivery", 0)
            assert await path.count("attempt") == 0
    assert door.requests == []


async def test_a_stop_returns_sends_that_wait_for_a_process_without_waiting_for_them(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        await transform(db, app, await add_endpoint(db, app, door.url), ENDLESS)
        async with transforming(db, seconds=60.0, lease_grace=900.0) as (path, sandbox):
            for _ in range(3):
                await path.send(app)
            await until(lambda: sandbox.running > 0)
            assert path.delivery is not None
            path.delivery.quiesce()
            await path.until("delivery WHERE lease IS NULL", 2)
            assert path.delivery.queues.in_flight == 1
        rows = await path.rows("SELECT lease, attempts FROM delivery")
    assert [(None, 0)] * 3 == rows


async def test_a_retry_and_a_resend_run_the_script_with_the_labels_of_the_message(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        door.status = 500
        endpoint = await add_endpoint(db, app, door.url)
        await transform(db, app, endpoint, "function handler(w) { w.payload = w.eventType + w.channels; return w }")
        async with transforming(db, schedule=(1, 600)) as (path, _):
            accepted = await path.send(app, event_type="invoice.paid")
            await path.until("attempt", 2)
            await again(path, accepted.id, endpoint, app)
            await path.until("attempt", 3)
    assert [b"invoice.paidnull"] * 3 == [body for _, _, body in door.requests]


async def test_the_method_that_a_script_chose_is_recorded_and_its_headers_stay_secret(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        code = "function handler(w) { w.method = 'PATCH'; w.headers['X-Key'] = w.env.KEY; return w }"
        await transform(db, app, await add_endpoint(db, app, door.url), code, KEY="a-long-secret")
        async with transforming(db) as (path, _):
            door.echo = "X-Echo: a-long-secret\r\n"
            await path.send(app)
            await path.settled()
            [(stored,)] = await path.rows("SELECT headers FROM attempt")
    headers = from_text(stored)
    assert headers is not None
    assert (headers.method, headers.configured, headers.is_truncated) == ("PATCH", ("X-Key",), False)
    assert "a-long-secret" not in stored
    assert door.requests[0][0].startswith("PATCH ")


async def test_a_request_with_post_records_no_headers_when_it_succeeds(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        await transform(
            db, app, await add_endpoint(db, app, door.url), "function handler(w) { w.payload = 1; return w }"
        )
        async with transforming(db) as (path, _):
            await path.send(app)
            await path.settled()
            assert [(None,)] == await path.rows("SELECT headers FROM attempt")


LARGER = "function handler(w) { w.payload = 'x'.repeat(50_000) + w.payload.n; return w }"


async def test_payloads_that_a_script_enlarges_count_in_memory_until_they_are_sent(db: Database) -> None:
    app = await add_app(db)
    async with Recording() as door:
        door.held = asyncio.Event()
        await transform(db, app, await add_endpoint(db, app, door.url), LARGER)
        async with transforming(db, timeout=60.0, lease_grace=90.0, memory_bytes=120_000) as (path, _):
            assert path.delivery is not None
            budget = path.delivery.queues.budget
            for number in range(5):
                await path.send(app, payload=b'{"n":%d}' % number)
            await until(lambda: len(door.requests) == 2)
            await until(lambda: bool(budget.listeners))
            assert 100_002 == budget.held_bytes
            door.held.set()
            await path.until("delivery", 0)
            await until(lambda: budget.held_bytes == 0)
            assert not budget.listeners
            statuses = [row[0] for row in await path.rows(_ATTEMPTS)]
    assert [0] * 5 == statuses
    assert {b"x" * 50_000 + b"%d" % number for number in range(5)} == {body for _, _, body in door.requests}


async def test_small_payloads_of_other_scripts_do_not_wait_for_memory(db: Database) -> None:
    large, small = await add_app(db), await add_app(db)
    async with Recording() as door, Recording() as other:
        door.held = asyncio.Event()
        await transform(db, large, await add_endpoint(db, large, door.url), LARGER)
        await transform(db, small, await add_endpoint(db, small, other.url), PLAIN)
        async with transforming(db, timeout=60.0, lease_grace=90.0, memory_bytes=60_000) as (path, _):
            for _ in range(3):
                await path.send(large)
            await until(lambda: len(door.requests) == 1)
            await path.send(small)
            await until(lambda: len(other.requests) == 1)
            door.held.set()
            await path.until("delivery", 0)


async def test_a_send_that_waits_too_long_for_memory_returns_without_an_attempt(db: Database) -> None:
    app = await add_app(db)
    before = counters["transformations.unstarted"]
    async with Recording() as door:
        door.held = asyncio.Event()
        await transform(db, app, await add_endpoint(db, app, door.url), LARGER)
        async with transforming(db, timeout=60.0, lease_grace=2.0, memory_bytes=60_000) as (path, _):
            for _ in range(2):
                await path.send(app)
            await until(lambda: counters["transformations.unstarted"] > before)
            assert await path.count("attempt") == 0
            door.held.set()
            await path.until("delivery", 0)
            assert [0, 0] == [row[0] for row in await path.rows(_ATTEMPTS)]
