# SPDX-License-Identifier: MIT
"""People whom an auth proxy signs in: the header counts from the proxy alone, with the rules for everybody."""

import ipaddress
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

import live
from api.kit import ORG
from api.task_kit import stored
from portal.kit import HERE, Browser, Site, site_of
from portal.streams import OpenStream
from tidings.clock import HOUR
from tidings.model.task import State

ALLOWED: Final = ("ada@example.com=operator", f"group:support={ORG}:read-only")
SETTINGS: Final[dict[str, Any]] = {
    "oidc_allowed": ALLOWED,
    "console_trusted_proxies": (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/64")),
    "console_user_header": "X-Forwarded-Email",
    "console_groups_header": "X-Forwarded-Groups",
}
ADA: Final = {"x-forwarded-email": "ada@example.com"}


def through(site: Site, client: str | None = "10.1.2.3", headers: Any = ADA) -> Browser:
    """Return a browser whose requests arrive from an address with headers."""
    app = site_of(site.api, **SETTINGS).app

    async def from_there(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": None if client is None else (client, 1)}, receive, send)

    return Browser(httpx.AsyncClient(transport=httpx.ASGITransport(from_there), base_url=HERE, headers=headers))


async def test_the_proxy_signs_a_person_in_without_a_cookie(lite_site: Site) -> None:
    browser = through(lite_site)

    page = await browser.open("/console")

    assert (200, "/console") == (browser.status, browser.path)
    assert "ada@example.com" in page.said
    assert "Sign out" not in page.said
    assert not list(browser.client.cookies.jar)


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("10.2.0.1", ADA),
        ("127.0.0.1", ADA),
        ("::1", ADA),
        (None, ADA),
        ("not an address", ADA),
        ("10.2.0.1", {**ADA, "x-forwarded-for": "10.1.2.3", "forwarded": "for=10.1.2.3", "x-real-ip": "10.1.2.3"}),
        ("10.1.2.3", {}),
        ("10.1.2.3", {"x-forwarded-email": ""}),
        ("10.1.2.3", {"x-forwarded-user": "ada@example.com", "x_forwarded_email": "ada@example.com"}),
    ],
)
async def test_the_header_of_anybody_else_is_ignored(
    lite_site: Site, client: str | None, headers: dict[str, str]
) -> None:
    browser = through(lite_site, client, headers)

    await browser.open("/console")

    assert "/console/sign-in" == browser.path


@pytest.mark.parametrize("client", ["::ffff:10.1.2.3", "fd00::7"])
async def test_an_address_of_a_listed_network_counts_in_each_form(lite_site: Site, client: str) -> None:
    await (browser := through(lite_site, client)).open("/console")

    assert "/console" == browser.path


@pytest.mark.parametrize(
    "headers",
    [
        [("x-forwarded-email", "ada@example.com"), ("x-forwarded-email", "eve@example.com")],
        [("x-forwarded-email", "eve@example.com")],
        [("x-forwarded-email", "ada@example.com, eve@example.com")],
        [("x-forwarded-email", "eve@example.com"), ("x-forwarded-groups", "Support,support-staff")],
    ],
)
async def test_a_person_without_a_rule_or_with_two_names_gets_a_page_that_says_so(
    lite_site: Site, headers: list[tuple[str, str]]
) -> None:
    browser = through(lite_site, headers=headers)

    page = await browser.open("/console")

    assert 403 == browser.status
    assert "You may not do this" in page.said


async def test_groups_decide_and_read_only_people_change_nothing(lite_site: Site) -> None:
    headers = {"x-forwarded-email": "bob@example.com", "x-forwarded-groups": "staff, support"}
    browser = through(lite_site, headers=headers)

    await browser.open("/console")
    assert f"/console/{ORG}" == browser.path
    await browser.post(f"/console/{ORG}/app", name="x")
    assert 403 == browser.status


async def test_forms_need_the_token_of_the_person(lite_site: Site) -> None:
    browser = through(lite_site)
    page = await browser.open(f"/console/{ORG}/key")
    form = page.form("/key")

    await browser.post(form.action, **{**form.values, "csrf": "AAAA", "name": "x"})
    assert 403 == browser.status
    foreign = await browser.client.post(
        form.action, data={**form.values, "name": "x"}, headers={"origin": "https://evil.example"}
    )
    assert 403 == foreign.status_code
    await browser.post(form.action, **{**form.values, "name": "x"})
    assert 200 == browser.status
    [key] = (await lite_site.api.read(f"/management/authentication/{ORG}/api-token"))["data"]
    assert "ada@example.com" == key["x"]["createdBy"]


async def test_the_header_counts_neither_on_the_api_nor_in_a_portal(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = through(lite_site)

    assert 401 == (await browser.client.get("/api/v1/app")).status_code
    assert 401 == (await browser.client.get(f"/portal/{app}")).status_code


async def test_a_key_in_a_cookie_counts_first_and_an_ended_one_locks_nobody_out(lite_site: Site) -> None:
    browser = through(lite_site)
    key = await lite_site.api.key(lifetime_ms=HOUR)
    await browser.post("/console/sign-in", key=key.text, next="")
    assert f"/console/{ORG}" == browser.path

    lite_site.api.clock.advance(2 * HOUR)
    await browser.open("/console")

    assert (200, "/console") == (browser.status, browser.path)


@pytest.mark.parametrize("part", ["changes?seen=x", "task/{task}/live"])
async def test_the_stream_of_an_open_page_ends_after_an_hour_so_that_the_browser_asks_the_proxy_again(
    lite_site: Site, part: str
) -> None:
    browser = through(lite_site)
    app = await lite_site.api.app()
    task = await stored(lite_site.api, State.QUEUED, app=app)
    path = f"/console/{ORG}/app/{app}/{part.format(task=task)}"
    site = site_of(lite_site.api, **SETTINGS)

    async def from_there(scope: Any, receive: Any, send: Any) -> None:
        await site.app({**scope, "client": ("10.1.2.3", 1)}, receive, send)

    stream = OpenStream(from_there, browser.client.build_request("GET", path))
    assert 200 == await stream.status()
    lite_site.api.clock.advance(HOUR + 1)
    site.live.recheck_access()

    # The event `over` and the notice would make the browser stop.
    rest = await stream.rest()
    assert "event: over" not in rest
    assert "not updated any more" not in rest
    again = OpenStream(from_there, browser.client.build_request("GET", path))
    assert 200 == await again.status()
    await again.close()
    unnamed = OpenStream(from_there, httpx.Request("GET", f"{HERE}{path}"))
    assert 401 == await unnamed.status()
    await unnamed.close()


async def test_the_stream_of_a_page_in_a_cookie_session_says_that_it_ended(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.console((await lite_site.api.key(lifetime_ms=HOUR)).text)
    stream = OpenStream(lite_site.app, browser.client.build_request("GET", f"/console/{ORG}/app/{app}/changes?seen=x"))
    assert 200 == await stream.status()

    lite_site.api.clock.advance(HOUR + 1)
    lite_site.live.recheck_access()

    assert "event: over" in await stream.rest()


@pytest.mark.parametrize(("subnet", "is_in"), [("10.1.0.0/16", False), ("127.0.0.1/32", True)])
def test_a_running_server_takes_the_address_from_the_connection(
    sqlite_url: str,
    tmp_path: Path,
    subnet: str,
    is_in: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    settings = {"console_user_header": "X-Forwarded-Email", "oidc_allowed": "[ada@example.com=operator]"}
    with live.serving(sqlite_url, tmp_path, console_trusted_proxies=f"[{subnet}]", **settings) as server:
        claims = {**ADA, "x-forwarded-for": "10.1.2.3", "x-real-ip": "10.1.2.3", "forwarded": "for=10.1.2.3"}
        answered = httpx.get(f"{server.url}/console", headers=claims)

    assert (200 if is_in else 303) == answered.status_code
