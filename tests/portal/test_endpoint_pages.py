# SPDX-License-Identifier: MIT
"""The pages of endpoints: the list, one endpoint, its secret, and what may be done with it."""

from typing import Final

import pytest

from api.kit import ORG
from portal.kit import Browser, Site
from portal.test_site import HOSTILE, OTHER
from tidings.clock import HOUR

EVERYTHING: Final = ["ViewBase", "ViewEndpointSecret", "ManageEndpointSecret", "CreateAttempts", "ManageEndpoint"]
READ_ONLY: Final = ["ViewBase"]


async def test_an_application_without_endpoints_is_invited_to_add_one(site: Site) -> None:
    app = await site.api.app()
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint")

    assert "Add your first endpoint" in page.said
    assert f"/portal/{app}/endpoint/new" in page.links


async def test_the_list_shows_each_endpoint_with_its_health(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app, description="Billing")
    await site.api.endpoint(app, url="http://example.com/off", disabled=True)
    msg = await site.api.message(app)
    for _ in range(10):
        await site.api.attempt(app, endpoint, msg, status=2, code=500)
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint")

    assert "Billing http://example.com/in Failing 0 %" in page.said
    assert "http://example.com/off Disabled" in page.said


async def test_the_list_is_paged(lite_site: Site) -> None:
    app = await lite_site.api.app()
    for number in range(31):
        await lite_site.api.endpoint(app, url=f"http://example.com/{number}")
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint")
    [following] = [link for link in page.links if "at=" in link]
    last = await browser.open(following)

    assert "http://example.com/29" in page.said
    assert "http://example.com/30" not in page.said
    assert "http://example.com/30" in last.said


@pytest.mark.parametrize("at", ["x", "ep_", "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2", "-", "'"])
async def test_a_damaged_position_is_a_clear_page(lite_site: Site, at: str) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint", at=at)

    assert (400, True) == (browser.status, "Open the list again" in page.said)


async def test_an_endpoint_shows_its_failures_settings_and_the_names_of_its_headers(site: Site) -> None:
    api, app = site.api, await site.api.app()
    await api.made("/event-type", {"name": "user.signup", "description": "x"})
    endpoint = await api.endpoint(
        app,
        description="Billing",
        eventTypes=["user.signup"],
        channels=["eu"],
        throttleRate=20,
        headers={"x-tenant": "value-of-the-header"},
    )
    msg = await api.message(app, channels=["eu"])
    attempt = await api.attempt(app, endpoint, msg, status=2, code=503)
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint/{endpoint}")

    assert f"/portal/{app}/message/{msg}/attempt/{attempt}" in page.links
    for expected in (
        "Billing",
        "HTTP 503",
        "user.signup",
        "eu",
        "20 messages per second",
        "x-tenant",
        "1 attempt, 0 % succeeded",
    ):
        assert expected in page.said
    assert "value-of-the-header" not in browser.text
    assert "whsec_" not in browser.text


@pytest.mark.parametrize("path", ["", "/edit", "/header", "/delete", "/test"])
async def test_the_endpoint_of_another_application_does_not_exist(site: Site, path: str) -> None:
    app, other = await site.api.app(), await site.api.app()
    foreign = await site.api.endpoint(other, description="Foreign")
    browser = await site.portal(app)

    for ref in (foreign, "ep_unknown", HOSTILE):
        page = await browser.open(f"/portal/{app}/endpoint/{ref}{path}".replace("?", "%3F"))
        assert 404 == browser.status, ref
        assert "Foreign" not in page.said


async def test_the_secret_is_shown_on_request(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    page = await browser.submit("/secret")

    assert (await site.api.read(f"/app/{app}/endpoint/{endpoint}/secret"))["key"] in page.said
    assert "no-store" in browser.response.headers["cache-control"]


async def test_a_rotated_secret_replaces_the_old_one(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    old = (await site.api.read(f"/app/{app}/endpoint/{endpoint}/secret"))["key"]
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    page = await browser.submit("/secret/rotate", grace="3600")

    assert "has a new secret" in page.said
    assert old != (await site.api.read(f"/app/{app}/endpoint/{endpoint}/secret"))["key"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("key", "whsec_short", "not valid base64"),
        ("key", "whsec_c2hvcnQ=", "secret length invalid"),
        ("grace", "-1", "between 0 and 7 days"),
        ("grace", "9" * 30, "between 0 and 7 days"),
        ("grace", "\u0661", "between 0 and 7 days"),
    ],
)
async def test_a_wrong_rotation_is_explained_beside_its_field(
    lite_site: Site, field: str, value: str, said: str
) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app)
    browser = await lite_site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    page = await browser.submit("/secret/rotate", **{field: value})

    assert (422, True) == (browser.status, said in page.said)
    assert "whsec_short" not in browser.text


async def test_an_endpoint_is_disabled_and_enabled_again(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    page = await browser.submit("/disable")
    assert "receives nothing until you enable it" in page.said
    assert (await site.api.read(f"/app/{app}/endpoint/{endpoint}"))["disabled"]

    site.api.clock.advance(HOUR)
    page = await browser.submit("/enable", recover=None)
    assert "The endpoint is enabled." in page.said
    assert not (await site.api.read(f"/app/{app}/endpoint/{endpoint}"))["disabled"]
    assert [] == (await site.api.read("/background-task"))["data"]


async def test_enabling_starts_the_tasks_that_resend_what_was_missed(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app, disabled=True)
    site.api.clock.advance(HOUR)
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    page = await browser.submit("/enable")

    started = "What it missed is being resent" in page.said
    assert started == bool(site.api.context.catching_up)


async def test_deleting_asks_first(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}/delete")
    page = await browser.submit("/delete")

    assert ("The endpoint is deleted." in page.said, f"/portal/{app}/endpoint") == (True, browser.path)
    assert 404 == (await site.api.get(f"/app/{app}/endpoint/{endpoint}")).status_code


_WRITES: Final = {
    "/enable": "ManageEndpoint",
    "/disable": "ManageEndpoint",
    "/delete": "ManageEndpoint",
    "/edit": "ManageEndpoint",
    "/header": "ManageEndpoint",
    "/header/delete": "ManageEndpoint",
    "/secret": "ViewEndpointSecret",
    "/secret/rotate": "ManageEndpointSecret",
    "/test": "CreateAttempts",
}


@pytest.mark.parametrize("path", _WRITES)
async def test_a_form_without_its_capability_is_neither_shown_nor_accepted(lite_site: Site, path: str) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app, headers={"x-tenant": "secret-value"})
    rest = [each for each in EVERYTHING if each not in (_WRITES[path], "ManageEndpoint", "ManageEndpointSecret")]
    here = f"/portal/{app}/endpoint/{endpoint}"
    browser = await lite_site.portal(app, capabilities=rest)

    page = await browser.open(here)
    assert not [form for form in page.forms if form.action == f"{here}{path}"]
    assert f"{here}{path}" not in page.links
    page = await browser.post(f"{here}{path}", csrf="")

    assert (403, True) == (browser.status, "Your access does not include it" in page.said)
    assert "secret-value" not in browser.text


async def test_a_read_only_link_shows_everything_and_changes_nothing(lite_site: Site) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app)
    browser = await lite_site.portal(app, capabilities=READ_ONLY)

    for path in ("endpoint", f"endpoint/{endpoint}"):
        page = await browser.open(f"/portal/{app}/{path}")
        assert 200 == browser.status
        assert [f"/portal/{app}/sign-out"] == [form.action for form in page.forms if "csrf" in form.values]
        assert not [link for link in page.links if link.endswith(("/new", "/edit", "/delete", "/test", "/header"))]
    for path in ("endpoint/new", f"endpoint/{endpoint}/edit", f"endpoint/{endpoint}/header"):
        await browser.open(f"/portal/{app}/{path}")
        assert 403 == browser.status


async def test_hostile_texts_are_inert(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app(name=HOSTILE)
    endpoint = await api.endpoint(
        app, url=f"http://example.com/{HOSTILE}", description=HOSTILE, metadata={HOSTILE: HOSTILE}
    )
    msg = await api.message(app)
    await api.attempt(app, endpoint, msg, status=2, code=0)
    browser = await lite_site.portal(app)

    for path in ("endpoint", *(f"endpoint/{endpoint}{each}" for each in ("", "/edit", "/header", "/delete"))):
        page = await browser.open(f"/portal/{app}/{path}")
        assert_inert(browser)
        assert 200 == browser.status
        assert not [link for link in page.links if not link.startswith(("/", "#"))]


def assert_inert(browser: Browser) -> None:
    """Assert that a page has no script, handler or style from a text."""
    page = browser.page
    assert "<script>alert" not in browser.text
    assert not [given for tag, given in page.tags if tag == "script" and "src" not in given]
    assert not [given for _, given in page.tags if "style" in given or any(name.startswith("on") for name in given)]


async def test_the_console_shows_the_same_page(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app, description="Billing")
    browser = await site.console()

    page = await browser.open(f"/console/{ORG}/app/{app}/endpoint/{endpoint}")
    assert "Billing" in page.said
    page = await browser.submit("/disable")
    assert "receives nothing" in page.said
    await browser.open(f"/console/{OTHER}/app/{app}/endpoint/{endpoint}")
    assert 404 == browser.status


async def test_an_expired_session_ends_at_the_next_form(lite_site: Site) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app)
    browser = await lite_site.portal(app, expiry=3_600)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    lite_site.api.clock.advance(2 * HOUR)
    page = await browser.submit("/disable")

    assert (401, True) == (browser.status, "Open the portal again" in page.said)
    assert not (await lite_site.api.read(f"/app/{app}/endpoint/{endpoint}"))["disabled"]
