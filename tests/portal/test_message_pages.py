# SPDX-License-Identifier: MIT
"""Messages: their list and filters, the state at each endpoint with its reason, and the resend."""

import json
from typing import Final

import pytest

from api.kit import Api
from portal.kit import Site
from portal.test_endpoint_pages import READ_ONLY, assert_inert
from portal.test_site import HOSTILE
from tidings.clock import DAY

FAILS: Final = {"status": 2, "code": 500}


async def test_messages_are_filtered_by_what_the_address_says(site: Site) -> None:
    api, app = site.api, await site.api.app()
    endpoint = await api.endpoint(app)
    await api.message(app, eventId="old")
    api.clock.advance(2 * DAY)
    tagged = await api.message(app, eventType="a.b", eventId="tagged", tags=["nightly"], channels=["eu"])
    await api.attempt(app, endpoint, tagged)
    await api.message(app, eventId="plain")
    browser = await site.portal(app)

    async def found(**query: str) -> set[str]:
        page = await browser.open(f"/portal/{app}/message", **query)
        return {each for each in ("old", "tagged", "plain") if f" {each} " in page.said}

    assert {"old", "tagged", "plain"} == await found()
    assert {"tagged"} == await found(type="a.b")
    assert {"tagged"} == await found(tag="nightly")
    assert {"tagged"} == await found(channel="eu")
    assert {"tagged"} == await found(endpoint=endpoint)
    assert {"tagged", "plain"} == await found(within="24h")
    assert set() == await found(type="a.b", tag="other")
    assert "No message matches these filters" in browser.page.said


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"type": HOSTILE}, "must match the following pattern"),
        ({"channel": "a b"}, "must match the following pattern"),
        ({"tag": "é"}, "must match the following pattern"),
        ({"from": "yesterday"}, "Write a time like"),
        ({"to": "9" * 400}, "Write a time like"),
        ({"from": "2026-05-02T10:00", "to": "2026-05-01T10:00"}, "The end must be after the start"),
    ],
)
@pytest.mark.parametrize("path", ["message", "attempt"])
async def test_a_wrong_filter_is_explained(lite_site: Site, path: str, query: dict[str, str], said: str) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/{path}", **query)

    assert (200, True) == (browser.status, said in page.said), page.said
    assert_inert(browser)


@pytest.mark.parametrize("path", ["message", "attempt"])
@pytest.mark.parametrize(
    "query",
    [
        {"at": "x"},
        {"at": "ep_1srOrx2ZWZBpBUvZwXKQmoEYga2"},
        {"endpoint": "ep_unknown"},
        {"endpoint": HOSTILE},
        {"from": "0001-01-01T00:00"},
        {"to": "9999-12-31T23:59"},
        {"within": "1000y", "status": "x", "code": "999"},
    ],
)
async def test_odd_addresses_are_clear_pages(lite_site: Site, path: str, query: dict[str, str]) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)

    await browser.open(f"/portal/{app}/{path}", **query)

    assert browser.status in (200, 400, 404), browser.text
    assert_inert(browser)


async def test_a_message_explains_its_state_at_every_endpoint(site: Site) -> None:
    api, app = site.api, await site.api.app()
    await api.made("/event-type", {"name": "other", "description": "x"})
    good = await api.endpoint(app, description="Good")
    bad = await api.endpoint(app, description="Bad")
    await api.endpoint(app, description="Unsubscribed", filterTypes=["other"])
    await api.endpoint(app, description="Off", disabled=True)
    msg = await api.message(app, eventId="evt-1", payload={"a": HOSTILE})
    await _settled(api, app, good, msg)
    attempt = await _settled(api, app, bad, msg, **FAILS)
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/message/evt-1")

    assert "Good http://example.com/in Delivered" in page.said
    assert "Bad http://example.com/in Exhausted" in page.said
    assert "did not subscribe to the event type user.signup. Add the event type to the endpoint" in page.said
    assert "Enable the endpoint, then resend the message." in page.said
    assert f"/portal/{app}/message/{msg}/attempt/{attempt}" in page.links
    assert '<script>alert(1)</script>\\"' in page.said
    assert_inert(browser)


async def _settled(api: Api, app: str, endpoint: str, msg: str, **outcome: int) -> str:
    """Store an attempt that ended the delivery, and return its id."""
    async with api.db.write() as tx:
        await tx.run("DELETE FROM delivery WHERE msg_id = :msg AND endpoint_id = :endpoint", msg=msg, endpoint=endpoint)
    return await api.attempt(app, endpoint, msg, **outcome)


async def test_a_message_is_resent_once(site: Site) -> None:
    api, app = site.api, await site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    await _settled(api, app, endpoint, msg)
    browser = await site.portal(app)
    form = (await browser.open(f"/portal/{app}/message/{msg}")).form("/resend")
    headers = {"origin": "http://tidings"}

    sent = [
        await browser.client.post(form.action, data={**form.values, "endpoint": endpoint}, headers=headers)
        for _ in range(2)
    ]

    assert [303, 303] == [each.status_code for each in sent]
    page = await browser.open(f"/portal/{app}/message/{msg}", done="resent")
    assert "The message is being resent." in page.said
    assert "Scheduled A resend or a task requested another attempt." in page.said


async def test_one_page_resends_to_two_endpoints(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoints = [await api.endpoint(app), await api.endpoint(app)]
    msg = await api.message(app)
    for each in endpoints:
        await _settled(api, app, each, msg)
    browser = await lite_site.portal(app)
    form = (await browser.open(f"/portal/{app}/message/{msg}")).form("/resend")

    for each in endpoints:
        await browser.post(form.action, endpoint=each, **form.values)

    assert 2 == browser.page.said.count("A resend or a task requested another attempt.")


async def test_a_message_is_followed_while_a_request_is_due_soon(site: Site) -> None:
    api, app = site.api, await site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/message/{msg}")
    [url] = [given["hx-sse:connect"] for _, given in page.tags if "hx-sse:connect" in given]
    assert f"/portal/{app}/message/{msg}/live" == url
    await _settled(api, app, endpoint, msg)
    page = await browser.open(f"/portal/{app}/message/{msg}")
    assert not [given for _, given in page.tags if "hx-sse:connect" in given]
    stream = await browser.client.get(url)
    assert "text/event-stream" == stream.headers["content-type"].partition(";")[0]
    assert "Delivered" in stream.text
    assert "event: over" in stream.text
    assert 'name="csrf"' not in stream.text


async def test_a_resend_that_is_not_possible_says_why(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    await _settled(api, app, endpoint, msg)
    browser = await lite_site.portal(app)

    await browser.open(f"/portal/{app}/message/{msg}")
    form = browser.page.form("/resend")
    await api.call("PATCH", f"/app/{app}/endpoint/{endpoint}", json={"disabled": True})
    page = await browser.post(form.action, endpoint=endpoint, **form.values)
    assert (409, True) == (browser.status, "Enable it, then resend the message" in page.said)

    await api.call("DELETE", f"/app/{app}/msg/{msg}/content")
    page = await browser.open(f"/portal/{app}/message/{msg}")
    assert not [each for each in page.forms if each.action.endswith("/resend")]
    page = await browser.post(form.action, **{**form.values, "once": "other", "endpoint": endpoint})
    assert (400, True) == (browser.status, "its payload has expired or was deleted" in page.said)
    await browser.open(f"/portal/{app}/message/{msg}/payload")
    assert 404 == browser.status


async def test_a_deleted_endpoint_stays_in_the_explanation_without_a_link(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoint = await api.endpoint(app, description="Removed")
    msg = await api.message(app)
    attempt = await _settled(api, app, endpoint, msg)
    await api.call("DELETE", f"/app/{app}/endpoint/{endpoint}")
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/message/{msg}")
    assert "Removed" in page.said
    assert f"/portal/{app}/endpoint/{endpoint}" not in page.links
    assert not [given for tag, given in page.tags if given.get("form") == "resend"]
    page = await browser.open(f"/portal/{app}/message/{msg}/attempt/{attempt}")
    assert (200, True) == (browser.status, "Endpoint Deleted" in page.said)


async def test_a_large_payload_is_cut_on_the_page_and_whole_in_the_download(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    msg = await api.message(app, payload={"a": "ü" * 500_000})
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/message/{msg}")
    assert "cut here" in page.said
    assert len(browser.response.content) < 300_000
    await browser.open(f"/portal/{app}/message/{msg}/payload")
    assert {"a": "ü" * 500_000} == json.loads(browser.response.content)
    assert "attachment" in browser.response.headers["content-disposition"]
    assert "application/octet-stream" == browser.response.headers["content-type"]


@pytest.mark.parametrize("path", ["", "/payload", "/attempt/{attempt}"])
async def test_the_message_of_another_application_does_not_exist(site: Site, path: str) -> None:
    api, app, other = site.api, await site.api.app(), await site.api.app()
    endpoint = await api.endpoint(other)
    msg = await api.message(other, eventId="theirs", eventType="their.type")
    attempt = await api.attempt(other, endpoint, msg)
    browser = await site.portal(app)

    for ref in (msg, "theirs", "msg_x", HOSTILE):
        page = await browser.open(f"/portal/{app}/message/{ref}{path.format(attempt=attempt)}".replace("?", "%3F"))
        assert 404 == browser.status
        assert "their.type" not in page.said
    await browser.open(f"/portal/{app}/message", endpoint=endpoint)
    assert 404 == browser.status
    mine = await api.message(app)
    await browser.open(f"/portal/{app}/message/{mine}/attempt/{attempt}")
    assert 404 == browser.status


async def test_a_read_only_link_shows_messages_without_a_resend(lite_site: Site) -> None:
    api, app = lite_site.api, await lite_site.api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    attempt = await _settled(api, app, endpoint, msg)
    browser = await lite_site.portal(app, capabilities=READ_ONLY)

    for path in ("message", "attempt", f"message/{msg}", f"message/{msg}/attempt/{attempt}"):
        page = await browser.open(f"/portal/{app}/{path}")
        assert 200 == browser.status
        assert not [each for each in page.forms if each.action.endswith("/resend")]
        assert f"/portal/{app}/test" not in page.links
    for path in ("test", f"message/{msg}/resend"):
        page = await browser.post(f"/portal/{app}/{path}", csrf="", endpoint=endpoint)
        assert (403, True) == (browser.status, "Your access does not include it" in page.said)
