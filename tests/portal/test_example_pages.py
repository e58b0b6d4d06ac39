# SPDX-License-Identifier: MIT
"""Test events: their example, their faults, and the message that they become."""

import asyncio
import json

import pytest

from portal.kit import Browser, FormOnPage, Page, Site
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE


async def test_a_test_event_has_the_example_of_its_type_and_leads_to_its_message(site: Site) -> None:
    app = await site.api.app()
    schemas = {"1": {"examples": [{"id": "in_1"}]}}
    await site.api.made("/event-type", {"name": "invoice.paid", "description": "x", "schemas": schemas})
    endpoint = await site.api.endpoint(app, filterTypes=["invoice.paid"])
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint/{endpoint}/test")
    assert {"id": "in_1"} == json.loads(_form(page).values["payload"])
    page = await _send(browser)

    assert "The test event is sent." in page.said
    assert browser.path.startswith(f"/portal/{app}/message/msg_")
    [made] = (await site.api.read(f"/app/{app}/msg"))["data"]
    assert ("invoice.paid", {"id": "in_1"}) == (made["eventType"], made["payload"])


def _form(page: Page) -> FormOnPage:
    """Return the form with the payload; another form chooses the event type."""
    return next(form for form in page.forms if "payload" in form.values)


async def _send(browser: Browser, **fields: str) -> Page:
    form = _form(browser.page)
    return await browser.post(form.action, **{**form.values, **fields})


async def test_a_test_event_to_the_application_reaches_what_subscribes_to_it(site: Site) -> None:
    app = await site.api.app()
    await site.api.made("/event-type", {"name": "a.b", "description": "x"})
    await site.api.endpoint(app, description="All of it")
    browser = await site.portal(app)
    form = _form(await browser.open(f"/portal/{app}/test", type="a.b"))
    values, headers = {**form.values, "payload": '{"n": 1}'}, {"origin": "http://tidings"}

    sent = await asyncio.gather(*(browser.client.post(form.action, data=values, headers=headers) for _ in range(2)))

    assert 1 == len({each.headers["location"] for each in sent})
    page = await browser.open(sent[0].headers["location"])
    assert "All of it http://example.com/in Scheduled" in page.said


@pytest.mark.parametrize("payload", ["", "[]", "{", "nope", '{"a": NaN}', "{" * 3_000, '"x"', "{}{}"])
async def test_a_payload_that_is_no_object_is_explained_and_kept(lite_site: Site, payload: str) -> None:
    app = await lite_site.api.app()
    await lite_site.api.made("/event-type", {"name": "a", "description": "x"})
    browser = await lite_site.portal(app)

    await browser.open(f"/portal/{app}/test", type="a")
    page = await _send(browser, payload=payload)

    assert (422, True) == (browser.status, "Write a JSON object" in page.said)
    assert payload == _form(browser.page).values["payload"].strip()
    assert [] == (await lite_site.api.read(f"/app/{app}/msg"))["data"]


async def test_an_unknown_or_hidden_event_type_is_refused(lite_site: Site) -> None:
    app = await lite_site.api.app()
    await lite_site.api.made("/event-type", {"name": "hidden", "description": "x", "featureFlags": ["beta"]})
    browser = await lite_site.portal(app)

    for name in ("unknown", "hidden", HOSTILE):
        page = await browser.open(f"/portal/{app}/test", type=name)
        assert "There is no event type of this name." in page.said
        assert_inert(browser)
        await _send(browser, payload="{}")
        assert 422 == browser.status


async def test_a_test_event_to_a_disabled_endpoint_says_what_to_do(lite_site: Site) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app, disabled=True)
    browser = await lite_site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}/test", type="svix.ping")
    page = await _send(browser)

    assert (422, True) == (browser.status, "Enable it, then send the example" in page.said)


async def test_an_endpoint_that_does_not_match_is_announced(lite_site: Site) -> None:
    app = await lite_site.api.app()
    await lite_site.api.made("/event-type", {"name": "a", "description": "x"})
    endpoint = await lite_site.api.endpoint(app, channels=["eu"])
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint/{endpoint}/test", type="a")

    assert "not sent to it" in page.said


async def test_only_a_holder_of_the_secret_chooses_the_payload(site: Site) -> None:
    app = await site.api.app()
    schemas = {"1": {"examples": [{"id": "in_1"}]}}
    await site.api.made("/event-type", {"name": "invoice.paid", "description": "x", "schemas": schemas})
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app, capabilities=["ViewBase", "CreateAttempts"])

    for path in (f"endpoint/{endpoint}/test", "test"):
        await browser.open(f"/portal/{app}/{path}", type="invoice.paid")
        await _send(browser, payload='{"amount": 1000000}')
        assert "The test event is sent." in browser.page.said

    found = (await site.api.read(f"/app/{app}/msg"))["data"]
    assert [{"id": "in_1"}] * 2 == [each["payload"] for each in found]
