# SPDX-License-Identifier: MIT
"""The inbox keeps a bounded number of webhooks, judges their signatures, and responds in each of its modes."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from tidings.clock import MINUTE, SECOND, ManualClock
from tidings.dev.inbox import FAILED, OK, Inbox, InboxMode, InboxTuning, ReceivedWebhook
from tidings.dev.receiver import BODY_MAX, InboxReceiver
from tidings.dev.verification import SignatureVerdict, judge
from tidings.model.signature import SymmetricKey, generate, generate_pair, sign_all

BODY = b'{"type": "invoice.paid", "data": {"amount": 4900}}'
HELD = InboxTuning(slow_seconds=60, hang_seconds=60)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def signed(clock: ManualClock, key: SymmetricKey, body: bytes = BODY, family: str = "svix") -> list[tuple[str, str]]:
    timestamp = clock.now() // SECOND
    signature = sign_all([key], "msg_1", timestamp, body).decode()
    return [
        (f"{family}-id", "msg_1"),
        (f"{family}-timestamp", str(timestamp)),
        (f"{family}-signature", signature),
    ]


# -----------------------------------------------------------------------------------------------------------------
# The verdict


@pytest.mark.parametrize("family", ["svix", "webhook"])
def test_a_signature_of_either_family_is_valid(clock: ManualClock, family: str) -> None:
    key = generate()

    assert SignatureVerdict.VALID is judge(dict(signed(clock, key, family=family)), BODY, [key], clock.now())


def test_an_asymmetric_key_is_verified_too(clock: ManualClock) -> None:
    pair, timestamp = generate_pair(), clock.now() // SECOND
    signature = sign_all([pair], "msg_1", timestamp, BODY).decode()
    headers = {"svix-id": "msg_1", "svix-timestamp": str(timestamp), "svix-signature": signature}

    assert judge(headers, BODY, [pair], clock.now()).is_valid
    assert not judge(headers, BODY + b" ", [pair], clock.now()).is_valid


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("svix-id", "msg_2", SignatureVerdict.MISMATCH),
        ("svix-id", "ü", SignatureVerdict.MISMATCH),
        ("svix-timestamp", "1", SignatureVerdict.MISMATCH),
        ("svix-timestamp", "now", SignatureVerdict.MISMATCH),
        ("svix-timestamp", "9" * 5_000, SignatureVerdict.MISMATCH),
        ("svix-signature", "", SignatureVerdict.MISMATCH),
        ("svix-signature", "v1,", SignatureVerdict.MISMATCH),
        ("svix-signature", "ü", SignatureVerdict.MISMATCH),
        ("svix-signature", None, SignatureVerdict.UNSIGNED),
    ],
)
def test_a_changed_header_is_noticed(
    clock: ManualClock, name: str, value: str | None, verdict: SignatureVerdict
) -> None:
    key = generate()
    headers = {**dict(signed(clock, key)), name: value}

    assert verdict is judge({n: v for n, v in headers.items() if v is not None}, BODY, [key], clock.now())


def test_an_old_request_another_secret_and_a_deleted_endpoint_are_distinguished(clock: ManualClock) -> None:
    key = generate()
    headers = dict(signed(clock, key))

    assert SignatureVerdict.MISMATCH is judge(headers, BODY, [generate()], clock.now())
    assert SignatureVerdict.NO_KEY is judge(headers, BODY, [], clock.now())
    clock.advance(6 * MINUTE)
    assert SignatureVerdict.STALE is judge(headers, BODY, [key], clock.now())


# -----------------------------------------------------------------------------------------------------------------
# The modes


async def test_the_mode_decides_the_response(clock: ManualClock) -> None:
    inbox, key = Inbox(clock), generate()
    statuses = []
    for mode in (InboxMode.ACCEPTING, InboxMode.FAILING, InboxMode.ACCEPTING):
        inbox.switch(mode)
        statuses.append(await inbox.receive(signed(clock, key), BODY, [key]))

    assert [OK, FAILED, OK] == statuses
    assert [(3, OK, True), (2, FAILED, False), (1, OK, True)] == [
        (each.arrival, each.status, each.is_accepted) for each in inbox.received
    ]
    assert all(each.verdict.is_valid for each in inbox.received)


async def test_a_slow_inbox_accepts_late_and_a_hanging_one_never_responds(clock: ManualClock) -> None:
    inbox = Inbox(clock, InboxTuning(slow_seconds=0.01, hang_seconds=0.01))
    inbox.switch(InboxMode.SLOW)
    slow = await inbox.receive([], BODY, [])
    inbox.switch(InboxMode.HANGING)

    assert (OK, None) == (slow, await inbox.receive([], BODY, []))
    assert not inbox.received[0].is_pending


@pytest.mark.parametrize("held", [InboxMode.SLOW, InboxMode.HANGING])
@pytest.mark.parametrize(("then", "status"), [(InboxMode.ACCEPTING, OK), (InboxMode.FAILING, FAILED)])
async def test_a_held_request_gets_the_response_of_the_next_mode(
    clock: ManualClock, held: InboxMode, then: InboxMode, status: int
) -> None:
    inbox = Inbox(clock, HELD)
    inbox.switch(held)
    version = inbox.version
    request = asyncio.ensure_future(inbox.receive([], BODY, []))
    await inbox.changed(version)
    assert inbox.received[0].is_pending
    inbox.switch(InboxMode.HANGING)
    inbox.switch(then)

    assert status == await request


async def test_a_change_is_noticed_by_everything_that_waits_for_it(clock: ManualClock) -> None:
    inbox = Inbox(clock)
    waiting = [asyncio.ensure_future(inbox.changed(0)) for _ in range(3)]
    await asyncio.sleep(0)
    inbox.switch(InboxMode.FAILING)

    assert [1, 1, 1] == await asyncio.gather(*waiting)
    assert await inbox.changed(0) == 1


# -----------------------------------------------------------------------------------------------------------------
# The bounds


async def test_the_last_webhooks_are_kept_with_the_start_of_their_payloads(clock: ManualClock) -> None:
    inbox, key = Inbox(clock, InboxTuning(kept=3, kept_bytes=10)), generate()
    for _ in range(5):
        await inbox.receive(signed(clock, key), BODY, [key])

    assert [5, 4, 3] == [each.number for each in inbox.received]
    assert 5 == inbox.total
    last = inbox.received[0]
    assert (BODY[:10], len(BODY), True, True) == (last.body, last.size, last.is_cut, last.verdict.is_valid)
    assert (last, None) == (inbox.find(5), inbox.find(2))
    inbox.clear()
    assert () == inbox.received


async def test_many_and_long_headers_are_cut(clock: ManualClock) -> None:
    inbox = Inbox(clock)
    await inbox.receive([(f"x-{number}", "y" * 5_000) for number in range(500)], BODY, [])

    assert 100 == len(inbox.received[0].headers)
    assert {1_024} == {len(value) for _, value in inbox.received[0].headers}


def webhook(body: bytes) -> ReceivedWebhook:
    return ReceivedWebhook(
        number=1,
        at=0,
        msg_id="",
        arrival=1,
        headers=(),
        body=body,
        size=len(body),
        verdict=SignatureVerdict.UNSIGNED,
        mode=InboxMode.ACCEPTING,
    )


@pytest.mark.parametrize(
    ("body", "text", "event_type"),
    [
        (b'{"type":"a.b","n":[1]}', '{\n  "type": "a.b",\n  "n": [\n    1\n  ]\n}', "a.b"),
        (b'{"type":7}', '{\n  "type": 7\n}', ""),
        (b"<a/>", "<a/>", ""),
        (b"\xff{", "\ufffd{", ""),
        (b"", "", ""),
        (b"[" * 1_000, "[" * 1_000, ""),
        (b"[" * 41 + b"]" * 41, "[" * 41 + "]" * 41, ""),
    ],
)
def test_a_payload_is_shown_with_indentation_if_it_is_json(body: bytes, text: str, event_type: str) -> None:
    assert (text, event_type) == (webhook(body).text, webhook(body).event_type)


# -----------------------------------------------------------------------------------------------------------------
# The receiver


async def call(receiver: InboxReceiver, method: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    sent: list[dict[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    await receiver({"type": "http", "method": method, "headers": headers}, receive, send)
    json.loads(sent[1]["body"])
    return int(sent[0]["status"])


async def test_the_receiver_verifies_payloads_that_are_not_kept_whole(clock: ManualClock) -> None:
    key = generate()

    async def keys() -> tuple[SymmetricKey]:
        return (key,)

    inbox, body = Inbox(clock), b'{"a":"' + b"x" * 1_000_000 + b'"}'
    headers = [(name.encode(), value.encode()) for name, value in signed(clock, key, body)]

    assert OK == await call(InboxReceiver(inbox, keys), "POST", body, headers)
    assert inbox.received[0].verdict.is_valid
    assert 65_536 == len(inbox.received[0].body)


async def test_other_methods_and_too_large_payloads_are_not_kept(clock: ManualClock) -> None:
    async def keys() -> tuple[SymmetricKey, ...]:
        return ()

    inbox = Inbox(clock)
    receiver = InboxReceiver(inbox, keys)

    assert 405 == await call(receiver, "GET", b"", [])
    assert 413 == await call(receiver, "POST", b"x" * (BODY_MAX + 1), [])
    assert 413 == await call(receiver, "POST", b"", [(b"content-length", b"%d" % (BODY_MAX + 1))])
    assert () == inbox.received


@pytest.mark.parametrize(
    "header", [(b"origin", b"https://evil.example"), (b"origin", b"null"), (b"sec-fetch-site", b"cross-site")]
)
async def test_a_page_in_a_browser_sends_nothing_to_the_inbox(clock: ManualClock, header: tuple[bytes, bytes]) -> None:
    async def keys() -> tuple[SymmetricKey, ...]:
        return ()

    inbox = Inbox(clock)

    assert 403 == await call(InboxReceiver(inbox, keys), "POST", b"{}", [(b"content-type", b"text/plain"), header])
    assert () == inbox.received
