# SPDX-License-Identifier: MIT
"""Origins, headers, the log of pages, and what operators and customers may do there."""

from dataclasses import replace
from typing import Final

import pytest

from api.kit import ORG
from api.task_kit import failing, stored
from portal.kit import Browser, Site, form_token, site_of
from portal.streams import OpenStream
from tidings.api.request_log import RequestObservers, RequestRecord
from tidings.clock import HOUR
from tidings.ids import DEFAULT_ORG, OrgId
from tidings.model.api_key import KeyScope
from tidings.model.task import State

OTHER: Final = OrgId("org_00000000000000000000000000F")
HTTPS: Final = {"x-forwarded-proto": "https", "host": "hooks.example"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({**HTTPS, "origin": "https://hooks.example"}, 303),
        ({**HTTPS, "origin": "http://hooks.example"}, 403),
        ({"host": "hooks.example", "origin": "http://hooks.example"}, 303),
        ({"host": "hooks.example", "origin": "https://hooks.example"}, 303),
        ({"host": "hooks.example", "origin": "ftp://hooks.example"}, 403),
        ({"host": "hooks.example", "origin": "https://hooks.example.evil.example"}, 403),
    ],
)
async def test_where_https_is_known_a_page_over_http_is_another_site(
    lite_site: Site, headers: dict[str, str], expected: int
) -> None:
    client = lite_site.browser().client

    sent = await client.post(
        "/console/sign-in", data={"key": lite_site.api.token}, headers=headers, follow_redirects=False
    )

    assert expected == sent.status_code


async def test_the_scheme_of_the_public_url_counts(lite_site: Site) -> None:
    api = lite_site.api
    site = site_of(replace(api, context=replace(api.context, portal_url="https://hooks.example")))
    client = site.browser().client

    for origin, expected in (("https://hooks.example", 303), ("http://hooks.example", 403)):
        headers = {"host": "hooks.example", "origin": origin}
        sent = await client.post("/console/sign-in", data={"key": api.token}, headers=headers)
        assert expected == sent.status_code, origin


async def test_a_stream_has_the_security_headers_of_a_page(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)
    page = await browser.client.get(f"/portal/{app}")

    stream = OpenStream(lite_site.app, browser.client.build_request("GET", f"/portal/{app}/changes?seen=x"))

    assert 200 == await stream.status()
    names = ("content-security-policy", "x-content-type-options", "referrer-policy", "x-frame-options")
    assert {name: page.headers[name] for name in names} == {name: stream.headers[name] for name in names}
    assert "text/event-stream; charset=utf-8" == stream.headers["content-type"]
    await stream.close()


async def test_a_file_keeps_its_stricter_policy(lite_site: Site) -> None:
    app = await lite_site.api.app()
    task = await stored(lite_site.api, State.SUCCEEDED, app=app)
    browser = await lite_site.portal(app)

    file = await browser.client.get(f"/portal/{app}/task/{task}/items.csv")

    assert ["default-src 'none'; sandbox"] == file.headers.get_list("content-security-policy")
    assert "same-origin" == file.headers["referrer-policy"]


async def test_the_log_has_the_route_the_organization_and_the_application_of_a_page(lite_site: Site) -> None:
    records: list[RequestRecord] = []
    context = replace(lite_site.api.context, observers=RequestObservers(lite_site.api.clock, (records.append,)))
    site = site_of(replace(lite_site.api, context=context))
    app = await site.api.app()
    portal, console = await site.portal(app), await site.console()
    records.clear()

    for browser, path in (
        (portal, f"/portal/{app}/endpoint/ep_none"),
        (console, f"/console/{ORG}/app/{app}/task"),
        (console, "/console/sign-in"),
        (console, f"/portal/{app}"),
        (console, "/console/x/y/z"),
    ):
        await browser.client.get(path)

    noted = [(each.route, each.fields.get("org"), each.fields.get("app")) for each in records]
    assert [
        ("/portal/{app_id}/endpoint/{endpoint_id}", ORG, app),
        ("/console/{org_id}/app/{app_id}/task", ORG, app),
        ("/console/sign-in", None, None),
        ("/portal/{app_id}", None, None),
        ("/console", None, None),
    ] == noted


async def test_a_mistyped_organization_does_not_exist_for_an_operator(site: Site) -> None:
    key = await site.api.key(KeyScope.OPERATOR)
    browser = await site.console(key.text)

    for path in (f"/console/{OTHER}", f"/console/{OTHER}/app", f"/console/{ORG}x"):
        await browser.open(path)
        assert 404 == browser.status, path
    await browser.open(f"/console/{DEFAULT_ORG}")
    assert 200 == browser.status
    await site.api.key(org=OTHER)
    await browser.open(f"/console/{OTHER}")
    assert 200 == browser.status


async def test_what_an_operator_starts_names_the_operators_key(site: Site) -> None:
    app, endpoint, _ = await failing(site.api, 1)
    key = await site.api.key(KeyScope.OPERATOR)
    browser = await site.console(key.text)
    await browser.open(f"/console/{ORG}/app/{app}/recover/check", endpoint=endpoint, what="failed", period="hour")
    await browser.submit("/recover")

    [task] = (await site.api.read("/background-task"))["data"]
    assert key.key.id == task["x"]["createdBy"]
    page = await browser.open(f"/console/{ORG}/task/{task['id']}")
    assert key.key.id in page.said
    portal = await (await site.portal(app)).open(f"/portal/{app}/task/{task['id']}")
    assert "your provider" in portal.said
    assert key.key.id not in portal.said

    await browser.open(f"/console/{ORG}/key")
    await browser.submit("/key", name="made by an operator")
    keys = await site.api.read(f"/management/authentication/{ORG}/api-token")
    assert [key.key.id] == [each["x"]["createdBy"] for each in keys["data"]]


async def test_a_customer_neither_sees_nor_cancels_a_task_of_its_provider(site: Site) -> None:
    app = await site.api.app()
    purge = (await site.api.made(f"/app/{app}/msg/expunge-all-contents", {}))["id"]
    own = await stored(site.api, State.PAUSED, app=app)
    browser = await site.portal(app)

    listed = await browser.open(f"/portal/{app}/task")
    assert (True, False) == (own in browser.text, purge in browser.text)
    assert "application.purge_content" not in str(listed.tags)
    for path in ("", "/live", "/items.csv"):
        await browser.open(f"/portal/{app}/task/{purge}{path}")
        assert 404 == browser.status, path
    target = f"/portal/{app}/task/{purge}/cancel"
    await browser.post(target, csrf=form_token(browser, target))
    assert 404 == browser.status

    console = await site.console()
    await console.open(f"/console/{ORG}/app/{app}/task/{purge}")
    await console.submit("/cancel")
    assert "Canceled" in console.page.said


@pytest.mark.parametrize("scopes", [["read-only"], ["application:mine"]])
async def test_a_stream_ends_when_the_rights_of_its_key_narrow(site: Site, scopes: list[str]) -> None:
    await site.api.app(uid="mine")
    key = await site.api.key()
    browser = await site.console(key.text)
    site.api.keyring.on_change = site.live.recheck_access
    stream = await site.stream(browser, f"/console/{ORG}/task/live")

    changed = await site.api.call(
        "PATCH", f"/management/authentication/{ORG}/api-token/{key.key.id}", json={"scopes": scopes}
    )

    assert 200 == changed.status_code
    assert "event: over" in await stream.rest()


@pytest.mark.parametrize("how", ["revoke", "narrow"])
async def test_a_portal_that_the_console_opens_ends_with_the_key(site: Site, how: str) -> None:
    app = await site.api.app()
    key = await site.api.key()
    browser = await site.console(key.text)
    site.api.keyring.on_change = site.live.recheck_access
    await browser.open(f"/console/{ORG}/app/{app}")
    await browser.submit("/open-portal", access="full")
    assert (200, f"/portal/{app}") == (browser.status, browser.path)
    stream = await site.stream(browser, f"/portal/{app}/task/live")

    path = f"/management/authentication/{ORG}/api-token/{key.key.id}"
    if how == "revoke":
        assert 204 == (await site.api.post(f"{path}/expire", json={})).status_code
    else:
        assert 200 == (await site.api.call("PATCH", path, json={"scopes": ["read-only"]})).status_code

    assert "event: over" in await stream.rest()
    await browser.open(f"/portal/{app}")
    assert 401 == browser.status


async def test_a_portal_that_the_console_opens_ends_by_itself_and_with_expire_all(lite_site: Site) -> None:
    app = await lite_site.api.app()
    for end in ("time", "expire-all"):
        browser = await lite_site.console()
        await browser.open(f"/console/{ORG}/app/{app}")
        await browser.submit("/open-portal", access="full")
        assert 200 == browser.status
        if end == "time":
            lite_site.api.clock.advance(HOUR)
        else:
            await lite_site.api.post(f"/auth/app/{app}/expire-all", json={})
        await browser.open(f"/portal/{app}")
        assert 401 == browser.status, end


async def test_a_session_downloads_two_files_at_a_time(lite_site: Site) -> None:
    app = await lite_site.api.app()
    task = await stored(lite_site.api, State.SUCCEEDED, app=app)
    browser, other = await lite_site.portal(app), await lite_site.portal(app, sessionId="other")
    path = f"/portal/{app}/task/{task}/items.csv"

    def download(on: Browser) -> OpenStream:
        return OpenStream(lite_site.app, on.client.build_request("GET", path), is_slow=True)

    slow = [download(browser), download(browser)]
    assert [200, 200] == [await each.status() for each in slow]
    third = download(browser)
    assert 429 == await third.status()
    elsewhere = download(other)
    assert 200 == await elsewhere.status()
    for each in (*slow, elsewhere, third):
        await each.close()

    assert 200 == (await browser.client.get(path)).status_code
    assert 200 == (await browser.client.get(path)).status_code
    assert 200 == (await browser.client.get(path)).status_code
