# SPDX-License-Identifier: MIT
"""Attempts: their list, one with its response, its command and its signature."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from api.kit import ORG, Api
from portal.kit import Site
from portal.test_endpoint_pages import READ_ONLY, assert_inert
from portal.test_site import HOSTILE, OTHER
from tidings.clock import HOUR
from tidings.model import signature
from tidings.model.attempt_headers import AttemptHeaders, to_text

FAILS: Final = {"status": 2, "code": 500}


async def test_attempts_of_all_endpoints_are_merged_filtered_and_paged(site: Site) -> None:
    api, app = site.api, await site.api.app()
    first, second = await api.endpoint(app, description="First"), await api.endpoint(app, description="Second")
    msg = await api.message(app, eventType="a.b")
    made = [
        await api.attempt(app, (first, second)[number % 2], msg, **(FAILS if number % 3 else {}))
        for number in range(35)
    ]
    browser = await site.portal(app)

    async def listed(**query: str) -> list[str]:
        page = await browser.open(f"/portal/{app}/attempt", **query)
        return [link.rpartition("/")[2] for link in page.links if "/attempt/atmpt_" in link]

    newest = made[::-1]
    assert newest[:30] == await listed()
    [following] = [link for link in browser.page.links if "at=" in link]
    page = await browser.open(following)
    assert newest[30:] == [link.rpartition("/")[2] for link in page.links if "/attempt/atmpt_" in link]
    assert [each for place, each in enumerate(made) if not place % 3][::-1] == await listed(status="succeeded")
    assert set(await listed(endpoint=first)) == set(made[::2])
    assert [] == await listed(code="4xx")
    assert 23 == len(await listed(code="5xx", type="a.b", within="1h"))
    assert [] == await listed(type="other")


async def test_with_many_endpoints_the_user_chooses_one(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoints = [await api.endpoint(app) for _ in range(21)]
    browser = await lite_site.portal(app)

    assert "Choose an endpoint" in (await browser.open(f"/portal/{app}/attempt")).said
    page = await browser.open(f"/portal/{app}/attempt", endpoint=endpoints[-1])
    assert "Choose an endpoint" not in page.said


async def test_an_attempt_shows_a_hostile_response_as_text(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoint = await api.endpoint(app, url=f"http://example.com/{HOSTILE}")
    msg = await api.message(app, payload={"a": HOSTILE, "b": "'; rm -rf ~ #"})
    attempt = await api.attempt(app, endpoint, msg, **FAILS)
    async with api.db.write() as tx:
        await tx.run("UPDATE attempt SET response = :text WHERE id = :id", text=HOSTILE, id=attempt)
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")

    assert HOSTILE in page.said
    assert_inert(browser)
    assert "HTTP 500" in page.said


async def test_an_attempt_shows_the_headers_that_were_recorded(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    attempt = await api.attempt(app, endpoint, msg, **FAILS)
    headers = AttemptHeaders(
        "svix", 1_700_000_000, "v1,abc", ("x-tenant", HOSTILE), (("server", HOSTILE),), is_truncated=True
    )
    async with api.db.write() as tx:
        await tx.run("UPDATE attempt SET headers = :text WHERE id = :id", text=to_text(headers), id=attempt)
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")

    assert f"svix-id {msg} svix-timestamp 1700000000 svix-signature v1,abc" in page.said
    assert "x-tenant" in page.said
    assert f"server {HOSTILE}" in page.said
    assert "Some headers were too large" in page.said
    assert ("v1,abc", "1700000000") == tuple(page.form("/verify").values[each] for each in ("signature", "timestamp"))
    assert_inert(browser)


async def test_a_signature_is_checked_with_the_endpoints_secret_or_another(site: Site) -> None:
    api, app = site.api, await site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app, payload={"a": 1})
    attempt = await api.attempt(app, endpoint, msg)
    secret = (await api.read(f"/app/{app}/endpoint/{endpoint}/secret"))["key"]
    good = signature.sign(signature.parse_secret(secret).raw, msg, 1_700_000_000, b'{"a":1}').decode()
    browser = await site.portal(app)

    async def said(**fields: str) -> str:
        await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")
        return (await browser.submit("/verify", timestamp="1700000000", **fields)).said

    assert "The signature is valid" in await said(signature=good)
    assert "The signature is valid" in await said(signature=f"v1,x {good}", secret=secret)
    assert "is not that of this payload" in await said(signature=good, secret="whsec_" + "A" * 32)
    assert "The secret cannot be used" in await said(signature=good, secret="whsec_ü")
    assert "whsec_ü" not in browser.text


async def test_an_ed25519_signature_is_checked_with_the_public_key(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    pair = signature.generate_pair()
    endpoint = await api.endpoint(app, secret=pair.text)
    msg = await api.message(app, payload={"a": 1})
    attempt = await api.attempt(app, endpoint, msg)
    good = signature.sign_all([pair], msg, 5, b'{"a":1}').decode()
    browser = await lite_site.portal(app)

    for given, expected in ((good, "is valid"), (good[:-8] + "AAAAAA==", "is not that"), ("v1a,é", "is not that")):
        await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")
        page = await browser.submit("/verify", timestamp="5", signature=given, secret=pair.public_text)
        assert expected in page.said
    await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")
    assert "secret length invalid" in (await browser.submit("/verify", signature=good, secret="whpk_AAAA")).said


async def test_the_endpoints_secret_is_not_used_without_the_capability(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    attempt = await api.attempt(app, endpoint, msg)
    browser = await lite_site.portal(app, capabilities=READ_ONLY)

    await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")
    await browser.submit("/verify", signature="v1,x")
    assert 403 == browser.status


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1" * 40, "\u0661"])
async def test_a_wrong_timestamp_is_explained(lite_site: Site, timestamp: str) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    attempt = await api.attempt(app, endpoint, msg)
    browser = await lite_site.portal(app)

    await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")
    page = await browser.submit("/verify", signature="v1,x", timestamp=timestamp)

    assert "number of seconds" in page.said


async def test_the_command_sends_the_payload_with_a_valid_signature(lite_site: Site, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent")
    api, app = lite_site.api, await lite_site.api.app()
    endpoint, url = await api.endpoint(app), "http://example.com/a'b?c=$(id)"
    msg = await api.message(app, payload={"a": "it's ünïcode $(id) `id` \\ %s"})
    attempt = await api.attempt(app, endpoint, msg)
    async with api.db.write() as tx:
        await tx.run("UPDATE attempt SET url = :url WHERE id = :id", url=url, id=attempt)
    secret = (await api.read(f"/app/{app}/endpoint/{endpoint}/secret"))["key"]
    browser = await lite_site.portal(app)
    page = await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")
    command = page.text_of("curl-text").replace("whsec_FILL_IN", secret)
    (tmp_path / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nfor last; do :; done\ncat "${last#@}"\n')
    (tmp_path / "curl").chmod(0o700)

    given = subprocess.run(  # noqa: ASYNC221 - it runs for a few milliseconds
        ["sh", "-c", command],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
    ).stdout

    lines = given.splitlines()
    headers = dict(line.split(": ", 1) for line in lines if line.startswith("svix-"))
    body = (await _payload(api, msg)).encode()
    assert given.endswith(body.decode())
    assert url in lines
    assert signature.is_valid_for(secret, msg, int(headers["svix-timestamp"]), body, headers["svix-signature"].encode())


async def _payload(api: Api, msg: str) -> str:
    async with api.db.read() as read:
        [row] = await read.rows("SELECT payload FROM message WHERE id = :id", id=msg)
    return bytes(row["payload"]).decode()


async def test_the_method_that_a_script_chose_is_shown_and_in_the_command(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoint, msg = await api.endpoint(app), await api.message(app)
    attempt = await api.attempt(app, endpoint, msg)
    path, browser = f"/portal/{app}/message/{msg}/attempt/{attempt}", await lite_site.portal(app)

    page = await browser.open(path)
    assert "POST http" in page.said
    assert " -X " not in page.text_of("curl-text")
    headers = AttemptHeaders("svix", 1, "v1,abc", (), (), is_truncated=False, method="PUT")
    async with api.db.write() as tx:
        await tx.run("UPDATE attempt SET headers = :text WHERE id = :id", text=to_text(headers), id=attempt)

    page = await browser.open(path)
    assert "PUT http" in page.said
    assert "curl -i -X PUT " in page.text_of("curl-text")
    assert "PUT" == (await api.read(f"/app/{app}/msg/{msg}/attempt/{attempt}"))["x"]["method"]


async def test_the_console_shows_messages_and_attempts_too(site: Site) -> None:
    api, app = site.api, await site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    attempt = await api.attempt(app, endpoint, msg)
    browser = await site.console()

    for path in ("message", "attempt", "test", f"message/{msg}", f"message/{msg}/attempt/{attempt}"):
        await browser.open(f"/console/{ORG}/app/{app}/{path}")
        assert 200 == browser.status, path
        await browser.open(f"/console/{OTHER}/app/{app}/{path}")
        assert 404 == browser.status, path


async def test_an_expired_session_sees_no_message(lite_site: Site) -> None:
    app = await lite_site.api.app()
    msg = await lite_site.api.message(app)
    browser = await lite_site.portal(app, expiry=3_600)
    lite_site.api.clock.advance(2 * HOUR)

    for path in (f"message/{msg}", f"message/{msg}/payload", "message", "attempt"):
        page = await browser.open(f"/portal/{app}/{path}")
        assert (401, True) == (browser.status, "Open the portal again" in page.said)
