# SPDX-License-Identifier: MIT
"""What an attempt records of its headers, against a real receiver, on both databases."""

import json
from typing import Any

import pytest

from delivery.receiver import Receiver, read, say
from message_path import add_app, add_endpoint, running, terms
from tidings.clock import SECOND, SystemClock
from tidings.delivery.framing import headers_of
from tidings.ids import timestamp_of
from tidings.model.attempt_headers import MASK, AttemptHeaders, from_text
from tidings.model.delivery import Mode
from tidings.storage.drivers.database import Database
from tidings.storage.tables import deliveries
from tidings.storage.tables.deliveries import ManualSend

SECRET = "Bearer s3cr3t-value"
FAILED = (
    b"HTTP/1.1 503 Busy\r\nServer: nginx\r\nSet-Cookie: sid=42\r\nX-Echo: " + SECRET.encode() + b"\r\n"
    b"X-Long: " + b"x" * 2_000 + b"\r\nX-Text: caf\xe9\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy"
)
TAKEN = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 2\r\n\r\nok"


async def attempted(
    db: Database, *responses: bytes, manual: bool = False, headers: dict[str, str] | None = None, **options: Any
) -> tuple[list[AttemptHeaders | None], list[tuple[Any, ...]], Receiver]:
    """Deliver a message; return the recorded headers and the rows of its attempts, and the receiver."""
    app = await add_app(db)
    async with Receiver(*[[step for each in responses for step in (read, say(each))]]) as receiver:
        endpoint = await add_endpoint(db, app, f"http://127.0.0.1:{receiver.port}/in")
        async with db.write() as tx:
            text = json.dumps({"Authorization": SECRET, "X-Tenant": "acme-42"} if headers is None else headers)
            await tx.run("UPDATE endpoint SET headers = :headers", headers=text)
        async with running(db, delivering=terms(**options)) as path:
            accepted = await path.send(app)
            await path.until("attempt", 1 if manual else len(responses))
            if manual:
                ask = ManualSend(accepted.id, endpoint, app, "org_x", 1, Mode.ALWAYS, None)
                async with db.write() as tx:
                    await deliveries.schedule_manual_sends(tx, [ask], SystemClock().now())
                assert path.delivery is not None
                path.delivery.sink.notify_backlog([endpoint])
                await path.until("attempt", 2)
            rows = await path.rows("SELECT headers, number, id, msg_id, response FROM attempt ORDER BY id")
    return [from_text(row[0]) for row in rows], rows, receiver


async def test_a_failed_attempt_records_its_headers_and_no_secret(db: Database) -> None:
    [found], [row], receiver = await attempted(db, FAILED)

    assert found is not None
    [request] = receiver.requests
    sent = {name.decode().lower(): value.decode() for name, value in request.headers}
    signed = {f"svix-{part}": sent[f"svix-{part}"] for part in ("id", "timestamp", "signature")}
    assert signed == dict(found.signed(row[3]))
    assert timestamp_of(row[2]) // SECOND == found.timestamp
    assert ("Authorization", "X-Tenant") == found.configured
    assert found.is_truncated
    assert {
        "Server": "nginx",
        "Set-Cookie": MASK,
        "X-Echo": MASK,
        "X-Text": "caf�",
        "Retry-After": "3",
        "Content-Length": "4",
    } == dict(found.response)
    assert not any(secret in row[0] for secret in ("s3cr3t", "acme-42", "sid=42"))


async def test_a_success_records_nothing_but_its_number(db: Database) -> None:
    found, rows, _ = await attempted(db, TAKEN)

    assert [None] == found
    assert [1] == [row[1] for row in rows]


async def test_a_success_records_its_headers_if_the_setting_asks_for_it(db: Database) -> None:
    [found], _, _ = await attempted(db, TAKEN, attempt_headers=True, whitelabel=True, headers={})

    assert found is not None
    assert ("webhook", (), False) == (found.family, found.configured, found.is_truncated)
    assert (("Server", "nginx"), ("Content-Length", "2")) == found.response


async def test_a_manual_attempt_records_its_headers_and_has_no_number(db: Database) -> None:
    [first, resend], rows, _ = await attempted(db, TAKEN, TAKEN, manual=True)

    assert first is None
    assert resend is not None
    assert [1, None] == [row[1] for row in rows]


async def test_each_retry_has_its_number_and_its_own_timestamp(db: Database) -> None:
    found, rows, _ = await attempted(db, FAILED, TAKEN, schedule=(0,))

    assert [1, 2] == [row[1] for row in rows]
    assert [True, False] == [each is not None for each in found]


async def test_an_attempt_without_a_response_records_the_signature(db: Database) -> None:
    [found], [row], _ = await attempted(db, b"nonsense\r\n\r\n")

    assert found is not None
    assert ((), False) == (found.response, found.is_truncated)
    assert found.signature.startswith("v1,")
    assert "invalid" in row[4]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nA: 1\r\nb : 2\r\n\r\nC: 3", [("A", "1"), ("b", "2")]),
        (b"HTTP/1.1 103 Early\r\nA: 1\r\n\r\nHTTP/1.1 500 X\r\nB: 2\r\n\r\n", [("B", "2")]),
        (b"HTTP/1.1 200 OK\nA: 1\n 2\nnothing\n: x\nA: 3\n\n", [("A", "1 2"), ("A", "3")]),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n", []),
        (b"", []),
    ],
)
def test_headers_are_read_from_any_head(head: bytes, expected: list[tuple[str, str]]) -> None:
    assert expected == headers_of(head)
