# SPDX-License-Identifier: MIT
"""Every receiver misbehavior through the whole message path: the text of its attempt, and its timing.

All receivers misbehave concurrently against one message path, so a slow case must not delay another one.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic

import pytest
import uvloop

import message_path
from delivery.authority import DAY, NOW, Authority
from delivery.client_kit import full_accept_queue, open_sockets, settled_sockets
from delivery.misbehaviours import ALL, Case
from delivery.proxies import closed_port
from delivery.receiver import Receiver, hang, read, reset, say
from message_path import add_app, add_endpoint, running, terms
from tidings.delivery.address import BLOCKED_TEXT
from tidings.storage.drivers.store import migrate, opened

TIMEOUT = 0.5
LEASE_GRACE = 2.5
BODY_GRACE = terms(timeout=TIMEOUT, lease_grace=LEASE_GRACE).body_grace
SLACK = 30.0  # far more than a busy machine adds: without its deadline an attempt would not end at all
NOT_ACCEPTED = "error making request: TLS certificate not accepted: "
MORE = {
    "does not accept": (0, "request timed out"),
    "no listener": (0, "error making request: connection refused"),
    "TLS with a certificate that has expired": (0, f"{NOT_ACCEPTED}certificate has expired"),
    "TLS with a certificate of another host": (0, f"{NOT_ACCEPTED}IP address mismatch"),
    "TLS with a certificate signed by itself": (0, f"{NOT_ACCEPTED}self-signed certificate"),
    "TLS with a certificate in due form": (200, "ok"),
    "TLS wanted of plain HTTP": (0, "error making request: TLS: "),
    "TLS broken off": (0, "error making request: connection "),
    "TLS that hangs": (0, "request timed out"),
    "TLS that is reset when asked": (0, "error making request: connection reset by peer"),
}
BLOCKED = {
    f"blocked {host}": f"http://{host}/"
    for host in (
        *("10.0.0.1", "167772161", "0xa000001", "012.1", "0xa.0.0x0.1", "10.0.0.1.", "localhost:9@10.0.0.1"),
        *("[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "[2002:a00:1::]", "[::]", "[fd00::1]"),
        *("169.254.169.254", "2852039166", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]"),
    )
}
MORE |= dict.fromkeys(BLOCKED, (0, BLOCKED_TEXT))


@dataclass(frozen=True, slots=True)
class Seen:
    """The attempts of the messages to one receiver."""

    attempts: list[tuple[int, int, str, int]]
    seconds: float
    left: int
    """The number of remaining deliveries."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> dict[str, Seen]:
    """Run all cases concurrently, once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(authority.path))  # OpenSSL trusts this file beside the system's
        return uvloop.run(all_at_once(tmp_path_factory.mktemp("db"), authority))


async def all_at_once(folder: Path, authority: Authority) -> dict[str, Seen]:
    before = open_sockets()
    async with AsyncExitStack() as stack:
        db = await opened(f"sqlite:///{folder}/t.db")
        stack.push_async_callback(db.close)
        await migrate(db)
        urls = {name: (await stack.enter_async_context(of(case)), case.messages) for name, case in ALL.items()}
        urls |= {name: (url, 1) for name, url in (await stack.enter_async_context(others(authority))).items()}
        apps = {name: await add_app(db) for name in urls}
        for name, (url, _) in urls.items():
            await add_endpoint(db, apps[name], url)
        delivering = terms(timeout=TIMEOUT, lease_grace=LEASE_GRACE)
        path = await stack.enter_async_context(running(db, delivering=delivering))
        sending = [ask(path, apps[name], messages) for name, (_, messages) in urls.items()]
        seen = dict(zip(urls, await asyncio.gather(*sending), strict=True))
    assert await settled_sockets(before) == before
    assert len(asyncio.all_tasks()) == 1
    return seen


async def ask(path: message_path.Path, app: str, messages: int) -> Seen:
    """Send messages to an application, one after another."""
    began = monotonic()
    for number in range(1, messages + 1):
        await path.send(app)
        await path.until(f"attempt WHERE app_id = '{app}'", number)
    took = monotonic() - began
    attempts = await path.rows(
        "SELECT status, response_status_code, response, response_duration_ms FROM attempt"
        f" WHERE app_id = '{app}' ORDER BY id"
    )
    left = await path.count(f"delivery WHERE app_id = '{app}'")
    return Seen([(int(a), int(b), str(c), int(d)) for a, b, c, d in attempts], took, left)


@asynccontextmanager
async def of(case: Case) -> AsyncIterator[str]:
    async with Receiver(*case.scripts) as receiver:
        yield receiver.url


@asynccontextmanager
async def others(authority: Authority) -> AsyncIterator[dict[str, str]]:
    """Serve the misbehaviors that no script of an HTTP receiver can show."""

    def certified(host: str, expires: datetime = NOW + DAY, *, signed: bool = True) -> ssl.SSLContext:
        return authority.receiver_context(host, expires=expires, signed=signed)

    async with AsyncExitStack() as stack:

        async def url(receiver: Receiver) -> str:
            await stack.enter_async_context(receiver)
            return receiver.url.replace("http:", "https:")

        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(full_accept_queue(full))
        yield {
            "does not accept": f"http://127.0.0.1:{full.getsockname()[1]}/",
            "no listener": f"http://127.0.0.1:{closed_port()}/",
            "TLS with a certificate that has expired": await url(Receiver(tls=certified("127.0.0.1", NOW - DAY))),
            "TLS with a certificate of another host": await url(Receiver(tls=certified("127.0.0.2"))),
            "TLS with a certificate signed by itself": await url(Receiver(tls=certified("127.0.0.1", signed=False))),
            "TLS with a certificate in due form": await url(Receiver(tls=certified("127.0.0.1"))),
            "TLS wanted of plain HTTP": await url(Receiver([say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), hang])),
            "TLS broken off": await url(Receiver([reset])),
            "TLS that hangs": await url(Receiver([hang])),
            "TLS that is reset when asked": await url(Receiver([read, reset], tls=certified("127.0.0.1"))),
            **BLOCKED,
        }


@pytest.mark.parametrize("name", [*ALL, *MORE])
def test_a_misbehaving_receiver_gets_an_attempt_with_status_and_cause(seen: dict[str, Seen], name: str) -> None:
    code, text = (ALL[name].code, ALL[name].text) if name in ALL else MORE[name]
    messages = ALL[name].messages if name in ALL else 1

    is_delivered = 200 <= code <= 299 and not (name in ALL and ALL[name].is_invalid)

    attempts = seen[name].attempts

    assert [(0 if is_delivered else 2, code)] * messages == [attempt[:2] for attempt in attempts]
    assert [text] * messages == [attempt[2][: len(text)] for attempt in attempts]


@pytest.mark.parametrize("name", [*ALL, *MORE])
def test_an_attempt_at_a_misbehaving_receiver_ends_within_its_timeout(seen: dict[str, Seen], name: str) -> None:
    deadline = TIMEOUT + (BODY_GRACE if name in ALL and ALL[name].takes_until == "body" else 0)

    took, attempts = seen[name].seconds, seen[name].attempts

    assert took < deadline + SLACK
    assert all(attempt[3] <= 1000 * (TIMEOUT + SLACK) for attempt in attempts)
    assert seen[name].left == 0


@pytest.mark.parametrize("name", [name for name, case in ALL.items() if case.takes_until])
def test_a_slow_receiver_gets_the_whole_timeout(seen: dict[str, Seen], name: str) -> None:
    assert seen[name].seconds >= TIMEOUT + (BODY_GRACE - 0.2 if ALL[name].takes_until == "body" else 0)


def test_no_attempt_text_is_a_bare_system_error(seen: dict[str, Seen]) -> None:
    texts = [attempt[2] for each in seen.values() for attempt in each.attempts if attempt[1] == 0]

    assert not [text for text in texts if "errno" in text.lower() or "traceback" in text.lower()]
