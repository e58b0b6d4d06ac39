# SPDX-License-Identifier: MIT
"""The forms of endpoints, their headers and event types: the rules of the API, beside the fields, values kept."""

import asyncio
from typing import Any, Final

import pytest

from api.kit import Api
from portal.kit import Site, site_of
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE


async def _types(api: Api, *names: str) -> None:
    for name in names:
        await api.made("/event-type", {"name": name, "description": f"About {name}."})


async def test_a_customer_adds_an_endpoint(site: Site) -> None:
    app = await site.api.app()
    await _types(site.api, "invoice.paid", "invoice.sent", "user.created")
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint/new")
    assert "invoice" in page.said
    page = await browser.submit(
        "/endpoint/new",
        url="https://example.com/in",
        description="Billing",
        subscribe="some",
        types=["invoice.paid", "user.created"],
        channels="eu, us",
        rate="20",
        uid="mine",
        metadata='{"team": "b"}',
    )

    assert "The endpoint is added." in page.said
    made = await site.api.read(f"/app/{app}/endpoint/mine")
    assert browser.path == f"/portal/{app}/endpoint/{made['id']}"
    assert ("https://example.com/in", "Billing", 20, ["eu", "us"], {"team": "b"}) == (
        made["url"],
        made["description"],
        made["throttleRate"],
        made["channels"],
        made["metadata"],
    )
    assert ["invoice.paid", "user.created"] == sorted(made["filterTypes"])


async def test_a_form_sent_twice_adds_one_endpoint(site: Site) -> None:
    app = await site.api.app()
    browser = await site.portal(app)
    form = (await browser.open(f"/portal/{app}/endpoint/new")).form("/endpoint/new")
    values = {**form.values, "url": "https://example.com/in"}
    headers = {"origin": "http://tidings"}

    sent = await asyncio.gather(*(browser.client.post(form.action, data=values, headers=headers) for _ in range(3)))

    assert [303, 303, 303] == [each.status_code for each in sent]
    assert 1 == len({each.headers["location"] for each in sent})
    assert 1 == len((await site.api.read(f"/app/{app}/endpoint"))["data"])


_WRONG: Final[dict[str, dict[str, Any]]] = {
    "invalid URL": {"url": "not a url"},
    "schemes must be http or https": {"url": "javascript:alert(1)"},
    "control characters": {"url": "https://example.com/\nx"},
    "too long": {"url": "https://example.com/" + "a" * 65_536},
    "String too long": {"description": "ü" * 2_049},
    "Control characters": {"description": "a\x01b"},
    "same prefix as the ID": {"uid": "ep_mine"},
    "must match the following pattern": {"channels": "a<b"},
    "at most 10 items": {"channels": " ".join(f"c{number}" for number in range(11))},
    "must have at least one item": {"subscribe": "some"},
    "at most 500 items": {"subscribe": "some", "types": [f"t{number}" for number in range(501)]},
    "following event types don't exist: unknown": {"subscribe": "some", "types": ["unknown"]},
    "whole number from 1": {"rate": "0"},
    "from 1 to 65,535": {"rate": "65536"},
    "whole number": {"rate": "many"},
    "Write a JSON object": {"metadata": '["a"]'},
    "values are texts": {"metadata": '{"a": 1}'},
    "whose values": {"metadata": "{" * 2_000},
    "object whose": {"metadata": '{"a": "\\ud800"}'},
    "at most 4096 bytes": {"metadata": '{"a": "' + "x" * 4_100 + '"}'},
    "not valid base64": {"secret": "whsec_ü"},
}


@pytest.mark.parametrize("said", _WRONG)
async def test_a_wrong_value_is_explained_and_everything_typed_is_kept(lite_site: Site, said: str) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)
    given = {"url": "https://example.com/kept", "description": "Kept <b>", **_WRONG[said]}

    await browser.open(f"/portal/{app}/endpoint/new")
    page = await browser.submit("/endpoint/new", **given)

    assert (422, True) == (browser.status, said in page.said), page.said
    kept = page.form("/endpoint/new").values
    assert given["description"] == kept["description"]
    assert kept["secret"] == ""
    assert given.get("subscribe", "all") == kept["subscribe"]
    assert [] == (await lite_site.api.read(f"/app/{app}/endpoint"))["data"]


async def test_a_uid_in_use_is_explained_beside_it(site: Site) -> None:
    app = await site.api.app()
    await site.api.endpoint(app, uid="mine")
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/new")
    page = await browser.submit("/endpoint/new", url="https://example.com/in", uid="mine")

    assert (422, True) == (browser.status, "already in use" in page.said)
    assert [given for tag, given in page.tags if given.get("id") == "uid-fault"]


async def test_https_is_required_where_the_settings_require_it(lite_site: Site) -> None:
    app = await lite_site.api.app()
    object.__setattr__(lite_site.api.context, "https_only", True)

    browser = await site_of(lite_site.api).portal(app)

    await browser.open(f"/portal/{app}/endpoint/new")
    page = await browser.submit("/endpoint/new", url="http://example.com/in")

    assert (422, True) == (browser.status, "must be https" in page.said)


async def test_an_edit_changes_what_was_edited(site: Site) -> None:
    app = await site.api.app()
    await _types(site.api, "a", "b")
    endpoint = await site.api.endpoint(app, description="Old", filterTypes=["a"], version=3, metadata={"k": "v"})
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    page = await browser.submit("/edit", description="New", types=["a", "b"])

    found = await site.api.read(f"/app/{app}/endpoint/{endpoint}")
    assert "The changes are saved." in page.said
    assert ("New", ["a", "b"], 3, {"k": "v"}) == (
        found["description"],
        sorted(found["filterTypes"]),
        found["version"],
        found["metadata"],
    )


async def test_an_event_type_that_was_archived_meanwhile_stays(site: Site) -> None:
    app = await site.api.app()
    await _types(site.api, "a", "b")
    endpoint = await site.api.endpoint(app, filterTypes=["a"])
    await site.api.call("DELETE", "/event-type/a")
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    page = await browser.submit("/edit", types=["a", "b"])

    assert "The changes are saved." in page.said, page.said


async def test_an_edit_does_not_overwrite_another_one(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    site.api.clock.advance(1_000)
    await site.api.call("PATCH", f"/app/{app}/endpoint/{endpoint}", json={"rateLimit": 7})
    page = await browser.submit("/edit", description="Mine")

    assert (422, True) == (browser.status, "was changed since this page was opened" in page.said)
    assert "Mine" == page.form("/edit").values["description"]
    await browser.submit("/edit")
    assert "Mine" == (await site.api.read(f"/app/{app}/endpoint/{endpoint}"))["description"]


async def test_the_picker_searches_among_many_event_types_and_keeps_what_is_chosen(site: Site) -> None:
    app = await site.api.app()
    await _types(site.api, *(f"group.type_{number:03}" for number in range(101)), "other")
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint/new")
    assert ("group.type_099" in page.said, "group.type_100" in page.said) == (True, False)
    assert "There are more event types" in page.said
    page = await browser.submit(
        "/endpoint/new", find="1", find_text="TYPE_100", url="https://kept.example", subscribe="some", types=["other"]
    )

    assert 200 == browser.status
    assert "group.type_100" in page.said
    assert ("https://kept.example", "other") == tuple(page.form("/new").values[each] for each in ("url", "types"))
    page = await browser.submit("/endpoint/new", find="1", find_text="typeX100%")
    assert "No event type matches this search." in page.said


async def test_event_types_behind_a_feature_flag_are_not_offered(site: Site) -> None:
    app = await site.api.app()
    await site.api.made("/event-type", {"name": "secret.thing", "description": "x", "featureFlags": ["beta"]})
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint/new")
    assert "secret.thing" not in page.said
    await browser.open(f"/portal/{app}/event-type/secret.thing")
    assert 404 == browser.status
    page = await (await site.portal(app, featureFlags=["beta"])).open(f"/portal/{app}/event-type")
    assert "secret.thing" in page.said


async def test_an_event_type_shows_its_schema_and_examples(site: Site) -> None:
    app = await site.api.app()
    schema = {"1": {"title": HOSTILE, "examples": [{"id": HOSTILE}]}, "2": {"title": "two"}}
    await site.api.made("/event-type", {"name": "a.b", "description": HOSTILE, "schemas": schema})
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/event-type/a.b")

    assert_inert(browser)
    assert "Version 2" in page.said
    assert "<script>alert(1)</script>" in page.said
    for at in ("x y", "-", "'"):
        await browser.open(f"/portal/{app}/event-type", at=at)
        assert browser.status in (200, 400)


async def test_headers_are_set_replaced_and_deleted(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app)
    here = f"/portal/{app}/endpoint/{endpoint}/header"

    await browser.open(here)
    await browser.submit("/header", name="X-Tenant", value="one")
    await browser.submit("/header", name="x-tenant", value="two")
    page = await browser.submit("/header", name="Authorization", value="Bearer secret")

    assert "x-tenant two" in page.said
    assert "Bearer secret" not in browser.text
    assert {"x-tenant": "two"} == (await site.api.read(f"/app/{app}/endpoint/{endpoint}/headers"))["headers"]
    await browser.post(here + "/delete", **{**page.form("/delete").values, "name": "x-tenant"})
    assert "x-tenant" not in browser.page.said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("content-type", "x", "forbidden key"),
        ("svix-id", "x", "forbidden prefix"),
        ("a b", "x", "Invalid Header Name"),
        ("x-a", "ü", "Invalid Header Value"),
        ("x-a", "a\r\nx-b: c", "Invalid Header Value"),
        ("x-a", "a" * 4_097, "Invalid Header Value"),
        ("", "x", "Invalid Header Name"),
    ],
)
async def test_a_wrong_header_is_explained(lite_site: Site, name: str, value: str, said: str) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app)
    browser = await lite_site.portal(app)

    await browser.open(f"/portal/{app}/endpoint/{endpoint}/header")
    page = await browser.submit("/header", name=name, value=value)

    assert (422, True) == (browser.status, said in page.said)
    assert {} == (await lite_site.api.read(f"/app/{app}/endpoint/{endpoint}/headers"))["headers"]
