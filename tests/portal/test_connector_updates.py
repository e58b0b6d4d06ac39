# SPDX-License-Identifier: MIT
"""The page that applies a newer version of its connector to an endpoint."""

from typing import Any, Final

import pytest

from api.kit import Json
from portal.kit import Browser, Site, form_token
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

FIRST: Final = "function handler(webhook) {\n  webhook.payload = { text: 'one' };\n  return webhook;\n}"
SECOND: Final = FIRST.replace("one", "two")
OWN: Final = FIRST.replace("one", "mine")


async def _used(site: Site, **access: Any) -> tuple[Browser, str, str]:
    """Return a browser, the path of an endpoint with a connector in the portal, and the one in the API."""
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    await site.api.made("/connector", {"name": "Mine", "uid": "mine", "transformation": FIRST})
    await site.api.call("PUT", f"/app/{app}/endpoint/{endpoint}/connector", json={"connectorId": "mine"})
    browser = await site.portal(app, **access)
    return browser, f"/portal/{app}/endpoint/{endpoint}", f"/app/{app}/endpoint/{endpoint}"


async def _newer(site: Site, script: str = SECOND) -> None:
    site.api.clock.advance(5)
    assert 200 == (await site.api.call("PATCH", "/connector/mine", json={"transformation": script})).status_code


async def _transformation(site: Site, api: str) -> Json:
    return await site.api.read(f"{api}/transformation")


async def test_a_newer_version_is_shown_and_applied(site: Site) -> None:
    browser, path, api = await _used(site)
    await site.api.call("PATCH", f"{api}/transformation", json={"variables": {"TOKEN": "t"}})
    assert "See what changes" not in (await browser.open(path)).said
    await _newer(site)
    page = await browser.open(path)
    assert "Version 2 of Mine is available; this endpoint has version 1." in page.said

    page = await browser.open(f"{path}/connector")
    assert "Update to version 2 of Mine" in page.said
    assert "- webhook.payload = { text: 'one' };" in page.said
    assert "+ webhook.payload = { text: 'two' };" in page.said
    page = await browser.submit("/connector")

    assert "The endpoint has the script of the connector." in page.said
    assert "It is version 2 of Mine." in page.said
    stored = await _transformation(site, api)
    assert (SECOND, True, {"TOKEN": "t"}) == (stored["code"], stored["enabled"], stored["variables"])
    used = await site.api.read(f"{api}/connector")
    assert (2, False) == (used["x"]["endpoint"]["version"], used["x"]["endpoint"]["isModified"])


async def test_own_changes_are_shown_as_lost(site: Site) -> None:
    browser, path, api = await _used(site)
    await site.api.call("PATCH", f"{api}/transformation", json={"code": OWN})

    page = await browser.open(f"{path}/connector")

    assert "Return to version 1 of Mine" in page.said
    assert "These changes are lost" in page.said
    assert "- webhook.payload = { text: 'mine' };" in page.said
    await browser.submit("/connector")
    assert FIRST == (await _transformation(site, api))["code"]


async def test_a_script_that_is_switched_off_is_switched_on(lite_site: Site) -> None:
    browser, path, api = await _used(lite_site)
    await lite_site.api.call("PATCH", f"{api}/transformation", json={"enabled": False})

    page = await browser.open(f"{path}/connector")
    assert "This switches it on." in page.said
    assert "The endpoint has this script already." in page.said
    await browser.submit("/connector")

    assert (await _transformation(lite_site, api))["enabled"]


async def test_what_the_page_did_not_show_is_not_applied(site: Site) -> None:
    browser, path, api = await _used(site)
    await _newer(site)
    await browser.open(f"{path}/connector")

    await _newer(site, SECOND.replace("two", "three"))
    page = await browser.submit("/connector")
    assert 422 == browser.status
    assert "has changed since this page was opened" in page.said
    assert FIRST == (await _transformation(site, api))["code"]
    await site.api.call("PATCH", f"{api}/transformation", json={"code": OWN})
    page = await browser.submit("/connector")
    assert 422 == browser.status
    assert OWN == (await _transformation(site, api))["code"]
    await browser.submit("/connector")
    assert "three" in (await _transformation(site, api))["code"]


async def test_event_types_that_the_connector_no_longer_allows_are_named(lite_site: Site) -> None:
    browser, path, api = await _used(lite_site)
    await _newer(lite_site)
    await lite_site.api.call("PATCH", "/connector/mine", json={"allowedEventTypes": ["a"]})
    await browser.open(f"{path}/connector")

    page = await browser.submit("/connector")

    assert 422 == browser.status
    assert "The connector is for these event types only: a." in page.said
    assert FIRST == (await _transformation(lite_site, api))["code"]


@pytest.mark.parametrize("capabilities", [["ViewBase"], ["ManageEndpoint"]])
async def test_without_the_right_nothing_is_shown_or_applied(lite_site: Site, capabilities: list[str]) -> None:
    browser, path, api = await _used(lite_site, capabilities=capabilities)
    await _newer(lite_site)

    assert "See what changes" not in (await browser.open(path)).said
    await browser.open(f"{path}/connector")
    assert 403 == browser.status
    await browser.post(f"{path}/connector", csrf=form_token(browser, f"{path}/connector"), seen="x")
    assert 403 == browser.status
    assert FIRST == (await _transformation(lite_site, api))["code"]


async def test_the_form_needs_its_token(lite_site: Site) -> None:
    browser, path, api = await _used(lite_site)
    await _newer(lite_site)
    seen = (await browser.open(f"{path}/connector")).form("/connector").values["seen"]

    await browser.post(f"{path}/connector", csrf=form_token(browser, path), seen=seen)

    assert 403 == browser.status
    assert FIRST == (await _transformation(lite_site, api))["code"]


async def test_without_a_connector_there_is_no_page(lite_site: Site) -> None:
    browser, path, _ = await _used(lite_site)
    await lite_site.api.call("DELETE", "/connector/mine")
    app, other = path.split("/")[2], await lite_site.api.app()
    plain = await lite_site.api.endpoint(app)
    foreign = await lite_site.api.endpoint(other)

    for missing in (path, f"/portal/{app}/endpoint/{plain}", f"/portal/{app}/endpoint/{foreign}"):
        await browser.open(f"{missing}/connector")
        assert 404 == browser.status


async def test_a_hidden_connector_is_not_applied(lite_site: Site) -> None:
    browser, path, api = await _used(lite_site)
    await _newer(lite_site)
    await browser.open(f"{path}/connector")
    await lite_site.api.call("PATCH", "/connector/mine", json={"featureFlags": ["beta"]})

    await browser.submit("/connector")

    assert 404 == browser.status
    assert FIRST == (await _transformation(lite_site, api))["code"]


async def test_scripts_are_shown_as_text(lite_site: Site) -> None:
    browser, path, _ = await _used(lite_site)
    await _newer(lite_site, f"{SECOND}\n/* {HOSTILE} */")

    await browser.open(f"{path}/connector")

    assert_inert(browser)
