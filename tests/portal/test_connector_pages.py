# SPDX-License-Identifier: MIT
"""Connecting a product in the portal."""

import asyncio

import pytest

from api.kit import Json
from portal.kit import Site, site_of
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

SCRIPT = "function handler(webhook) { return webhook; }"
MINE: Json = {"name": "Mine", "uid": "mine", "transformation": SCRIPT}
URL = "https://hooks.example.com/in"


async def test_a_customer_connects_slack(site: Site) -> None:
    app = await site.api.app()
    await site.api.made("/event-type", {"name": "invoice.paid", "description": "d"})
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint")
    assert "Connect a product" in page.said
    page = await browser.open(f"/portal/{app}/connect")
    assert all(name in page.said for name in ("Slack", "Discord", "Microsoft Teams", "PagerDuty", "JSON"))
    slack = await site.api.read("/connector/tidings.slack")
    page = await browser.open(f"/portal/{app}/connect/tidings.slack")
    assert "Incoming Webhooks" in page.said
    assert '<a href="https://api.slack.com/apps"' in browser.text
    page = await browser.submit("/connect/tidings.slack", url=URL, description="#billing")

    assert "The product is connected." in page.said
    assert "Slack, version 1" in page.said
    endpoint = browser.path.rpartition("/")[2]
    made = await site.api.read(f"/app/{app}/endpoint/{endpoint}")
    assert (URL, "#billing", 1) == (made["url"], made["description"], made["throttleRate"])
    transformation = await site.api.read(f"/app/{app}/endpoint/{endpoint}/transformation")
    assert (slack["transformation"], True) == (transformation["code"], transformation["enabled"])


async def test_a_form_sent_twice_connects_once(site: Site) -> None:
    app = await site.api.app()
    browser = await site.portal(app)
    form = (await browser.open(f"/portal/{app}/connect/tidings.slack")).form("/connect/tidings.slack")
    values = {**form.values, "url": URL}
    headers = {"origin": "http://tidings"}

    sent = await asyncio.gather(*(browser.client.post(form.action, data=values, headers=headers) for _ in range(3)))

    assert 1 == len({each.headers["location"] for each in sent})
    assert 1 == len((await site.api.read(f"/app/{app}/endpoint"))["data"])


async def test_the_console_has_the_same_pages(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.console()

    page = await browser.open(f"/console/org_23rb8YdGqMT0qIzpgGwdXfHirMu/app/{app}/connect/tidings.pagerduty")
    page = await browser.submit("/connect/tidings.pagerduty", url=URL)

    assert "The product is connected." in page.said
    assert "PagerDuty, version 1" in page.said


async def test_only_the_allowed_event_types_are_accepted(lite_site: Site) -> None:
    app = await lite_site.api.app()
    for name in ("a", "b"):
        await lite_site.api.made("/event-type", {"name": name, "description": ""})
    await lite_site.api.made("/connector", {**MINE, "allowedEventTypes": ["a", "unknown"]})
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/connect/mine")
    assert "All event types" not in page.said
    page = await browser.submit("/connect/mine", url=URL, subscribe="some", types=["a", "b"])
    assert 422 == browser.status
    assert "The connector is for these event types only: a, unknown." in page.said
    page = await browser.submit("/connect/mine", url=URL, subscribe="some", types=["a"])
    assert "The product is connected." in page.said


@pytest.mark.parametrize("values", [{"url": "nonsense"}, {"url": URL, "rate": "x"}, {"url": URL, "subscribe": "some"}])
async def test_a_wrong_value_adds_nothing_and_stays_in_the_form(lite_site: Site, values: dict[str, str]) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)
    await browser.open(f"/portal/{app}/connect/tidings.slack")

    await browser.submit("/connect/tidings.slack", **values)

    assert 422 == browser.status
    assert values["url"] in browser.text
    assert [] == (await lite_site.api.read(f"/app/{app}/endpoint"))["data"]


async def test_https_is_required_where_the_settings_require_it(lite_site: Site) -> None:
    app = await lite_site.api.app()
    object.__setattr__(lite_site.api.context, "https_only", True)
    site = site_of(lite_site.api)
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/connect/tidings.slack")

    await browser.submit("/connect/tidings.slack", url="http://hooks.example.com/in")
    assert 422 == browser.status


@pytest.mark.parametrize("capabilities", [["ManageEndpoint"], ["ManageTransformations"], ["ViewBase"]])
async def test_a_link_without_both_rights_connects_nothing(lite_site: Site, capabilities: list[str]) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app, capabilities=capabilities)

    page = await browser.open(f"/portal/{app}/endpoint")
    assert "Connect a product" not in page.said
    for path in ("connect", "connect/tidings.slack"):
        await browser.open(f"/portal/{app}/{path}")
        assert 403 == browser.status


async def test_a_hidden_or_foreign_connector_is_not_found(lite_site: Site) -> None:
    app = await lite_site.api.app()
    await lite_site.api.made("/connector", {**MINE, "featureFlags": ["beta"]})
    plain = await lite_site.portal(app)
    flagged = await lite_site.portal(app, featureFlags=["beta"])

    assert "Mine" not in (await plain.open(f"/portal/{app}/connect")).said
    await plain.open(f"/portal/{app}/connect/mine")
    assert 404 == plain.status
    await plain.open(f"/portal/{app}/connect/absent")
    assert 404 == plain.status
    assert "Mine" in (await flagged.open(f"/portal/{app}/connect")).said


async def test_what_an_organization_wrote_is_text(lite_site: Site) -> None:
    app = await lite_site.api.app()
    await lite_site.api.made(
        "/connector", {**MINE, "name": HOSTILE, "description": HOSTILE, "instructions": f"# {HOSTILE}\n- {HOSTILE}"}
    )
    browser = await lite_site.portal(app)

    for path in ("connect", "connect/mine"):
        await browser.open(f"/portal/{app}/{path}")
        assert_inert(browser)


async def test_the_page_of_an_endpoint_says_when_its_connector_has_a_newer_version(lite_site: Site) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app)
    await lite_site.api.made("/connector", MINE)
    await lite_site.api.call("PUT", f"/app/{app}/endpoint/{endpoint}/connector", json={"connectorId": "mine"})
    browser = await lite_site.portal(app)

    await lite_site.api.call("PATCH", "/connector/mine", json={"transformation": f"{SCRIPT} // 2"})
    assert "version 2 is available" in (await browser.open(f"/portal/{app}/endpoint/{endpoint}")).said
    await lite_site.api.call("PATCH", f"/app/{app}/endpoint/{endpoint}/transformation", json={"enabled": False})
    assert "changed or disabled" in (await browser.open(f"/portal/{app}/endpoint/{endpoint}")).said
