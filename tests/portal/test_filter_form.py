# SPDX-License-Identifier: MIT
"""The editor of a payload filter: conditions in rows, with a preview, in a browser without JavaScript."""

from typing import Any, Final

import pytest

from api.kit import Json
from portal.kit import Site
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE

PAID: Final[Json] = {"path": "$.status", "operator": "==", "value": "paid"}
URL: Final = "https://example.com/in"


async def _shown(site: Site, app: str, endpoint: str) -> Any:
    return (await site.api.read(f"/app/{app}/endpoint/{endpoint}"))["x"]["filter"]


async def test_a_customer_adds_conditions_row_by_row(site: Site) -> None:
    app = await site.api.app()
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/endpoint/new")
    first = {"filter_path_0": "$.status", "filter_operator_0": "in", "filter_value_0": '["paid", "sent"]'}
    page = await browser.submit("/endpoint/new", url=URL, **first, more="1")
    assert page.form("/endpoint/new").values["filter_path_1"] == ""
    assert page.form("/endpoint/new").values["url"] == URL

    second = {"filter_path_1": "$.amount", "filter_operator_1": ">=", "filter_value_1": "100"}
    page = await browser.submit("/endpoint/new", uid="mine", **second)

    assert "The endpoint is added." in page.said
    assert '$.status in ["paid", "sent"]' in page.said
    assert await _shown(site, app, "mine") == [
        {"path": "$.status", "operator": "in", "value": ["paid", "sent"]},
        {"path": "$.amount", "operator": ">=", "value": 100},
    ]


@pytest.mark.parametrize(
    ("operator", "text", "value"),
    [
        ("==", "paid", "paid"),
        ("==", '"paid"', "paid"),
        ("==", "100", 100),
        ("==", '"100"', "100"),
        ("==", "true", True),
        ("==", '"true"', "true"),
        ("!=", "null", None),
        ("==", "a b {", "a b {"),
        ("<", "1.50", 1.5),
        ("in", "[1, null]", [1, None]),
        ("exists", "", True),
        ("exists", "false", False),
    ],
)
async def test_a_value_is_json_or_a_text_and_stays_the_same_in_the_form(
    site: Site, operator: str, text: str, value: object
) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    fields = {"filter_path_0": "$.a", "filter_operator_0": operator, "filter_value_0": text}
    await browser.submit("/edit", **fields)
    expected = [{"path": "$.a", "operator": operator, "value": value}]
    assert await _shown(site, app, endpoint) == expected

    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    page = await browser.submit("/edit", description="changed")

    assert "Saved" in page.said or "saved" in page.said
    assert await _shown(site, app, endpoint) == expected


async def test_empty_rows_remove_conditions(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app, x={"filter": [PAID, {**PAID, "path": "$.b"}]})
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    await browser.submit("/edit", filter_path_0="", filter_value_0="")
    assert await _shown(site, app, endpoint) == [{**PAID, "path": "$.b"}]
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    await browser.submit("/edit", filter_path_0="", filter_value_0="")
    assert await _shown(site, app, endpoint) is None


_WRONG: Final[dict[str, dict[str, str]]] = {
    "A path starts with $": {"filter_path_0": "status", "filter_value_0": "x"},
    "not understood at character 2": {"filter_path_0": "$..a", "filter_value_0": "x"},
    "from 1 to 512 characters": {"filter_path_0": "", "filter_value_0": "x"},
    "at most 16 names": {"filter_path_0": "$" + ".a" * 17},
    "is a list of 1 to 64": {"filter_path_0": "$.a", "filter_operator_0": "in", "filter_value_0": "x"},
    "is a number or a text": {"filter_path_0": "$.a", "filter_operator_0": "<", "filter_value_0": "null"},
    "true or false": {"filter_path_0": "$.a", "filter_operator_0": "exists", "filter_value_0": "maybe"},
    "lone surrogates": {"filter_path_0": "$.a", "filter_value_0": '"\\ud800"'},
    "A number is finite": {"filter_path_0": "$.a", "filter_value_0": "NaN"},
    "A number is from": {"filter_path_0": "$.a", "filter_value_0": "9" * 400},
    "at most 1,024 bytes": {"filter_path_0": "$.a", "filter_value_0": "x" * 1_025},
    "Choose how to compare": {"filter_path_0": "$.a", "filter_operator_0": "like", "filter_value_0": "x"},
    "from 1 to 64 conditions": {
        "filter_rows": "900",
        **{f"filter_path_{each}": "$.a" for each in range(66)},
        **{f"filter_operator_{each}": "exists" for each in range(66)},
    },
}


@pytest.mark.parametrize("button", [{}, {"preview": "1"}], ids=["save", "preview"])
@pytest.mark.parametrize(("sentence", "fields"), _WRONG.items(), ids=_WRONG)
async def test_a_fault_is_beside_its_condition(
    lite_site: Site, sentence: str, fields: dict[str, str], button: dict[str, str]
) -> None:
    app = await lite_site.api.app()
    endpoint = await lite_site.api.endpoint(app, x={"filter": [PAID]})
    browser = await lite_site.portal(app)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")

    page = await browser.submit("/edit", **{"filter_operator_0": "==", **fields, **button})

    assert browser.status == 422
    assert sentence in page.said
    assert page.form("/edit").values["filter_path_0"] == fields["filter_path_0"]
    assert await _shown(lite_site, app, endpoint) == [PAID]


@pytest.mark.parametrize("count", ["", "-1", "x", "9" * 30, "²"])
async def test_an_invalid_number_of_rows_is_none(site: Site, count: str) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    await browser.submit("/edit", filter_rows=count)
    assert browser.status == 200


async def test_a_preview_shows_which_recent_messages_match_and_saves_nothing(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    await site.api.message(app, payload={"status": "open"})
    await site.api.message(app, payload={"status": "paid"})
    gone = await site.api.message(app, payload={"status": "paid"})
    await site.api.call("DELETE", f"/app/{app}/msg/{gone}/content")
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")

    page = await browser.submit("/edit", filter_path_0="$.status", filter_value_0="paid", preview="1")

    assert browser.status == 200
    assert "The latest 3 messages" in page.said
    assert "1 of 3 would be sent to the endpoint." in page.said
    assert '$.status == "paid" does not hold: the payload has another value at the path.' in page.said
    assert "The payload of the message is not kept." in page.said
    assert await _shown(site, app, endpoint) is None


async def test_a_preview_uses_the_event_types_of_the_form(site: Site) -> None:
    app = await site.api.app()
    await site.api.made("/event-type", {"name": "invoice.paid", "description": ""})
    await site.api.message(app, eventType="other")
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/endpoint/new")
    page = await browser.submit("/endpoint/new", subscribe="some", types=["invoice.paid"], preview="1")
    assert "The event type is not among the chosen ones." in page.said
    assert "0 of 1 would be sent" in page.said


async def test_texts_of_a_filter_are_inert(site: Site) -> None:
    app = await site.api.app()
    path = f"$['{HOSTILE.replace(chr(39), '')}']"
    conditions = [{"path": path, "operator": "==", "value": HOSTILE}]
    endpoint = await site.api.endpoint(app, x={"filter": conditions})
    await site.api.message(app, payload={"a": 1})
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    assert_inert(browser)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    assert_inert(browser)
    await browser.submit("/edit", preview="1")
    assert browser.status == 200
    assert_inert(browser)


async def test_a_filter_of_a_later_release_is_kept_and_said(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    text = '[{"path":"$.a","operator":"~=","value":1}]'
    async with site.api.db.write() as tx:
        await tx.run("UPDATE endpoint SET filter = :text", text=text)
    browser = await site.portal(app)
    page = await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    assert "This one cannot read it" in page.said
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/edit")
    await browser.submit("/edit", description="changed")
    async with site.api.db.read() as read:
        assert (await read.one("SELECT filter, description FROM endpoint"))[0] == text
