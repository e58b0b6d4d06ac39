# SPDX-License-Identifier: MIT
"""The sign-in at a provider: rights, cookies, the life of a session, and its end."""

import base64
import json
from typing import Any

import pytest

from api.kit import ORG
from portal.kit import Browser
from portal.sign_in_kit import ALLOWED, CALLBACK, OTHER, START, SignIn, cookies, query_of
from tidings.clock import HOUR, MINUTE


async def test_a_person_signs_in_with_the_rights_of_the_first_rule_that_matches(sign_in: SignIn) -> None:
    operator = await sign_in.done()
    assert (200, "/console") == (operator.status, operator.path)
    assert "ada@example.com" in operator.page.said

    sign_in.provider.claims = {"email": "bob@example.com"}
    member = await sign_in.done()
    assert f"/console/{ORG}" == member.path
    await member.open(f"/console/{OTHER}")
    assert 404 == member.status
    await member.open(f"/console/{ORG}/app")
    [form] = [each for each in member.page.forms if each.action.endswith("/app") and "csrf" in each.values]
    await member.post(form.action, **{**form.values, "name": "Made by Bob"})
    assert 200 == member.status, member.page.said

    sign_in.provider.claims = {"email": "eve@elsewhere.example", "groups": ["staff", "support"]}
    reader = await sign_in.done()
    assert f"/console/{ORG}" == reader.path
    await reader.open(f"/console/{ORG}/app")
    await reader.post(f"/console/{ORG}/app", name="x")
    assert 403 == reader.status


async def test_a_person_without_a_rule_gets_a_page_that_says_so(sign_in: SignIn) -> None:
    sign_in.provider.claims = {"email": "mallory@sub.example.com", "groups": ["Support"]}

    browser = await sign_in.done()

    assert 403 == browser.status
    assert "mallory@sub.example.com has no access to this console" in browser.page.said
    assert set() == cookies(browser)


async def test_the_cookie_is_strict_and_the_last_response_is_a_page(sign_in: SignIn) -> None:
    browser = sign_in.site.browser()
    location = await sign_in.started(browser)
    begun = browser.response.headers["set-cookie"]
    assert "Path=/console/sign-in/oidc; HttpOnly; SameSite=Lax; Max-Age=600" in begun

    await sign_in.came_back(browser, code=sign_in.provider.authorize(location), state=query_of(location)["state"])

    kept, ended = browser.response.headers.get_list("set-cookie")
    assert kept.startswith("tidings_console=session.")
    assert kept.endswith("; Path=/console; HttpOnly; SameSite=Strict; Max-Age=43200")
    assert "tidings_sign_in=;" in ended
    assert (200, CALLBACK) == (browser.status, browser.path)


async def test_over_https_both_cookies_are_bound_to_the_host(sign_in: SignIn) -> None:
    client = sign_in.site.browser().client
    behind = {"host": "hooks.example", "x-forwarded-proto": "https"}

    begun = await client.get(START, headers=behind)
    location, cookie = begun.headers["location"], begun.headers["set-cookie"]
    query = {"code": sign_in.provider.authorize(location), "state": query_of(location)["state"]}
    done = await client.get(CALLBACK, params=query, headers={**behind, "cookie": cookie.partition(";")[0]})

    assert cookie.startswith("__Host-tidings_sign_in=")
    assert "Path=/; HttpOnly; SameSite=Lax; Secure" in cookie
    assert "https://hooks.example/console/sign-in/oidc/callback" == query_of(location)["redirect_uri"]
    assert done.headers["set-cookie"].startswith("__Host-tidings_console=session.")


async def test_the_session_is_no_token_of_the_api(sign_in: SignIn) -> None:
    browser = await sign_in.done()
    [cookie] = [each for each in browser.client.cookies.jar if each.name == "tidings_console"]

    answered = await sign_in.api.get("/app", token=cookie.value)

    assert 401 == answered.status_code


async def test_the_target_is_kept_and_is_never_another_site(sign_in: SignIn) -> None:
    browser = await sign_in.done(f"/console/{ORG}/key")
    assert f"/console/{ORG}/key" == browser.path

    for hostile in (
        "https://evil.example/",
        "//evil.example",
        "/console//evil.example",
        "/console/\\evil",
        "/portal/x",
    ):
        location = await sign_in.started(browser := sign_in.site.browser(), hostile)
        page = await sign_in.came_back(
            browser, code=sign_in.provider.authorize(location), state=query_of(location)["state"]
        )
        assert ["/console"] == page.links, hostile


async def test_a_session_ends_with_its_time(sign_in: SignIn) -> None:
    site = sign_in.again(oidc_session="2h")
    browser = await sign_in.done(site=site)
    sign_in.api.clock.advance(2 * HOUR - MINUTE)
    await browser.open("/console")
    assert "/console" == browser.path

    sign_in.api.clock.advance(MINUTE)
    page = await browser.open("/console")

    assert "/console/sign-in" == browser.path
    assert "Your access has ended" in page.said


@pytest.mark.parametrize(
    "changed",
    [
        {"oidc_allowed": ("ada@example.com=operator:read-only", *ALLOWED)},
        {"oidc_allowed": ALLOWED[1:]},
        {"oidc_client_id": "another"},
        {"oidc_groups_claim": "roles"},
    ],
)
async def test_a_session_ends_when_the_rules_change(sign_in: SignIn, changed: dict[str, Any]) -> None:
    browser = await sign_in.done()
    same, other = sign_in.again(), sign_in.again(**changed)

    after_restart = Browser(same.browser().client)
    after_restart.client.cookies = browser.client.cookies
    await after_restart.open("/console")
    assert "/console" == after_restart.path
    after_change = Browser(other.browser().client)
    after_change.client.cookies = browser.client.cookies
    await after_change.open("/console")

    assert "/console/sign-in" == after_change.path


async def test_signing_out_ends_the_session_on_every_node_and_the_portals_that_it_opened(sign_in: SignIn) -> None:
    app = await sign_in.api.app()
    browser = await sign_in.done(f"/console/{ORG}/app/{app}")
    stolen = dict(browser.client.cookies)
    await browser.submit("/open-portal", access="full")
    assert (200, f"/portal/{app}") == (browser.status, browser.path)
    await browser.open("/console")

    await browser.submit("/console/sign-out", sent="yes")

    assert "You are signed out" in browser.page.said
    await browser.open(f"/portal/{app}")
    assert 401 == browser.status
    thief = sign_in.again().browser()
    for name, value in stolen.items():
        thief.client.cookies.set(name, value)
    await thief.open("/console")
    assert "/console/sign-in" == thief.path


async def test_what_a_person_does_names_the_person(sign_in: SignIn) -> None:
    browser = await sign_in.done(f"/console/{ORG}/key")

    await browser.submit("/key", name="made by a person")

    keys = await sign_in.api.read(f"/management/authentication/{ORG}/api-token")
    assert ["ada@example.com"] == [each["x"]["createdBy"] for each in keys["data"]]


async def test_a_forged_session_is_none(sign_in: SignIn) -> None:
    browser = await sign_in.done()
    [cookie] = [each for each in browser.client.cookies.jar if each.name == "tidings_console"]
    body, mac = (cookie.value or "").removeprefix("session.").split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    longer = base64.urlsafe_b64encode(json.dumps({**claims, "until": 1 << 50}).encode()).rstrip(b"=").decode()

    for forged in (
        f"session.{longer}.{mac}",
        f"session.{body}.",
        f"session.{body}",
        "session..",
        f"session.{body}.{mac}A",
    ):
        other = sign_in.site.browser()
        await other.client.get("/console")
        sent = await other.client.get("/console", headers={"cookie": f"tidings_console={forged}"})
        assert (303, True) == (sent.status_code, "/console/sign-in" in sent.headers["location"]), forged
