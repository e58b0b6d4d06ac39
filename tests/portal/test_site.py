# SPDX-License-Identifier: MIT
"""Sessions, form tokens, tenants and errors: what holds for every page, whatever it shows."""

from typing import Final

import pytest

from api.kit import ORG, SECRET, Api
from portal.kit import HERE, Browser, Site
from tidings.core.access import issue_org_token
from tidings.ids import OrgId
from tidings.model.api_key import KeyScope

OTHER: Final = OrgId("org_00000000000000000000000000F")
HOSTILE: Final = "<script>alert(1)</script>\"'&"


async def test_a_portal_link_opens_the_applications_portal(site: Site) -> None:
    app = await site.api.app(name="Acme")

    browser = await site.portal(app)

    assert (200, f"/portal/{app}") == (browser.status, browser.path)
    assert "Acme" in browser.page.said


async def test_the_cookie_of_a_portal_has_the_path_of_its_application(lite_site: Site) -> None:
    app = await lite_site.api.app()
    url = (await lite_site.api.made(f"/auth/app-portal-access/{app}", {}))["url"]
    browser = lite_site.browser()

    given = await browser.client.post("/portal/sign-in", data={"key": url}, headers={"origin": HERE})

    cookie = given.headers["set-cookie"]
    assert f"Path=/portal/{app}; HttpOnly; SameSite=Lax; Max-Age=" in cookie


async def test_over_https_cookies_are_secure_and_bound_to_the_host(lite_site: Site) -> None:
    app = await lite_site.api.app()
    url = (await lite_site.api.made(f"/auth/app-portal-access/{app}", {}))["url"]
    behind = {"origin": "https://hooks.example", "host": "hooks.example", "x-forwarded-proto": "https"}
    client = lite_site.browser().client

    portal = await client.post("/portal/sign-in", data={"key": url}, headers=behind)
    console = await client.post("/console/sign-in", data={"key": lite_site.api.token}, headers=behind)

    assert portal.headers["set-cookie"].startswith("__Secure-tidings_portal=")
    assert console.headers["set-cookie"].startswith("__Host-tidings_console=")
    assert "Path=/; HttpOnly; SameSite=Strict; Secure" in console.headers["set-cookie"]


async def test_another_applications_portal_does_not_exist_for_a_session(site: Site) -> None:
    mine, other = await site.api.app(name="Mine"), await site.api.app(name="Other")
    browser = await site.portal(mine)
    _give_cookie_to(browser, mine, other)

    page = await browser.open(f"/portal/{other}")

    assert 404 == browser.status
    assert "Other" not in page.said


def _give_cookie_to(browser: Browser, mine: str, other: str) -> None:
    """Copy the cookie of one portal to the path of another, as a user who edits it may."""
    [cookie] = [each for each in browser.client.cookies.jar if each.path == f"/portal/{mine}"]
    browser.client.cookies.set(cookie.name, cookie.value or "", domain="tidings.local", path=f"/portal/{other}")
    browser.client.headers["cookie"] = f"{cookie.name}={cookie.value}"


async def test_without_a_session_the_portal_asks_to_open_the_link_again(lite_site: Site) -> None:
    app = await lite_site.api.app()

    page = await (browser := lite_site.browser()).open(f"/portal/{app}")

    assert 401 == browser.status
    assert "Open the portal again from the product that sent you here" in page.said


async def test_an_expired_link_says_so(lite_site: Site) -> None:
    app = await lite_site.api.app()
    url = (await lite_site.api.made(f"/auth/app-portal-access/{app}", {"expiry": 3_600}))["url"]
    lite_site.api.clock.advance(2 * 3_600_000)

    page = await (browser := lite_site.browser()).post("/portal/sign-in", key=url)

    assert 401 == browser.status
    assert "not valid any more" in page.said


@pytest.mark.parametrize("key", ["", "nonsense", "a" * 5_000, "a;b", "key=", "ünïcode"])
async def test_a_wrong_key_signs_nobody_in(lite_site: Site, key: str) -> None:
    for path in ("/portal/sign-in", "/console/sign-in"):
        browser = lite_site.browser()
        await browser.post(path, key=key)
        assert 401 == browser.status, path
        assert "set-cookie" not in browser.response.headers


async def test_a_revoked_token_ends_the_session_at_once(site: Site) -> None:
    app = await site.api.app()
    browser = await site.portal(app)

    await site.api.post(f"/auth/app/{app}/expire-all", json={})
    await browser.open(f"/portal/{app}")

    assert 401 == browser.status


async def test_a_revoked_key_ends_the_console_at_once_and_leads_to_the_sign_in(lite_site: Site) -> None:
    key = await lite_site.api.key()
    browser = await lite_site.console(key.text)

    await _revoke(lite_site.api, key.key.id)
    page = await browser.open(f"/console/{ORG}")

    assert "/console/sign-in" == browser.path
    assert "Your access has ended" in page.said


async def _revoke(api: Api, key_id: str) -> None:
    response = await api.post(f"/management/authentication/{ORG}/api-token/{key_id}/expire", json={})
    assert response.status_code == 204, response.text


async def test_the_console_shows_an_organization_itself_alone(site: Site) -> None:
    own = await site.console()
    foreign = await site.console(issue_org_token(SECRET, OTHER, site.api.clock.now()))

    assert f"/console/{ORG}" == own.path
    assert f"/console/{OTHER}" == foreign.path
    await foreign.open(f"/console/{ORG}")
    assert 404 == foreign.status


async def test_the_token_of_an_application_opens_no_console(lite_site: Site) -> None:
    app = await lite_site.api.app()
    token = (await lite_site.api.made(f"/auth/app-portal-access/{app}", {}))["token"]
    browser = lite_site.browser()

    page = await browser.post("/console/sign-in", key=token)

    assert 401 == browser.status
    assert "belongs to one application" in page.said


async def test_an_operator_sees_every_organization_and_the_installation(lite_site: Site) -> None:
    key = await lite_site.api.key(KeyScope.OPERATOR)
    await lite_site.api.key(org=OTHER)

    browser = await lite_site.console(key.text)

    assert (200, "/console") == (browser.status, browser.path)
    await browser.open(f"/console/{OTHER}")
    assert 200 == browser.status
    await browser.open("/console/nonsense")
    assert 404 == browser.status


async def test_an_organization_does_not_see_the_installation(lite_site: Site) -> None:
    browser = await lite_site.console()

    await browser.open("/console")

    assert f"/console/{ORG}" == browser.path


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
async def test_a_form_of_another_site_is_refused(lite_site: Site, headers: dict[str, str]) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)

    sent = await browser.client.post(f"/portal/{app}/sign-out", data={}, headers=headers)

    assert (403, True) == (sent.status_code, "another site" in sent.text)


async def test_a_form_without_its_token_is_refused(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)

    page = await browser.post(f"/portal/{app}/sign-out", csrf="AAAA")

    assert (403, True) == (browser.status, "out of date" in page.said)


async def test_a_page_about_an_error_leads_back_to_the_portal(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint/ep_unknown")
    assert [f"/portal/{app}"] == page.links
    page = await browser.open("/portal/app_%22%3E%3Cb%3E/x")
    assert 404 == browser.status
    assert ["/portal/app_%22%3E%3Cb%3E"] == page.links
    page = await lite_site.browser().open(f"/portal/{app}")
    assert [] == page.links


async def test_no_cookie_counts_on_the_api(lite_site: Site) -> None:
    browser = await lite_site.console()

    response = await browser.client.get("/api/v1/app")

    assert 401 == response.status_code


async def test_every_page_has_the_security_headers(lite_site: Site) -> None:
    app = await lite_site.api.app(name=HOSTILE)
    browser = await lite_site.portal(app)

    for path in (f"/portal/{app}", "/portal/unknown/page", "/console/sign-in", "/app-portal"):
        await browser.open(path)
        policy = browser.response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in browser.response.headers
        assert "<script>alert" not in browser.text
        assert not [given for tag, given in browser.page.tags if tag == "script" and "src" not in given]
        assert not [
            given for _, given in browser.page.tags if "style" in given or any(n.startswith("on") for n in given)
        ]


async def test_an_unexpected_error_is_a_plain_page(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)
    object.__setattr__(lite_site.api.context.services, "clock", None)

    page = await browser.open(f"/portal/{app}")

    assert (500, True) == (browser.status, "Something went wrong" in page.said)
    assert browser.response.headers["x-request-id"] in page.said
    assert "Traceback" not in page.said


@pytest.mark.parametrize("path", ["/portal", "/portal/%00", "/console/%ff/app", "/portal/assets/../../x", "/portal//x"])
async def test_odd_paths_are_clear_pages(lite_site: Site, path: str) -> None:
    browser = lite_site.browser()

    await browser.open(path)

    assert browser.status in (307, 401, 404, 200)
    assert "Traceback" not in browser.text


async def test_assets_are_compressed_and_kept_for_good(lite_site: Site) -> None:
    browser = lite_site.browser()
    page = await browser.open("/app-portal")
    paths = [given["href"] for tag, given in page.tags if tag == "link" and given["href"].endswith(".css")]

    found = await browser.client.get(paths[0])

    assert ("gzip", "text/css; charset=utf-8") == (found.headers["content-encoding"], found.headers["content-type"])
    assert "immutable" in found.headers["cache-control"]


async def test_a_return_address_becomes_no_header_of_its_own(lite_site: Site) -> None:
    browser, key = lite_site.browser(), lite_site.api.token

    await browser.post("/console/sign-in", key=key, next="/console/x\r\nset-cookie: a=b")
    assert f"/console/{ORG}" == browser.path
    await browser.post("/portal/x%0d%0aset-cookie:a=b/arrive", key="a.b")
    assert 404 == browser.status


async def test_a_read_only_key_of_an_application_signs_out(lite_site: Site) -> None:
    app = await lite_site.api.app()
    key = await lite_site.api.key(KeyScope.APPLICATION, app=app, read_only=True)
    browser = lite_site.browser()
    await browser.post("/portal/sign-in", key=key.text)
    assert f"/portal/{app}" == browser.path

    await browser.submit("/sign-out")

    await browser.open(f"/portal/{app}")
    assert 401 == browser.status
