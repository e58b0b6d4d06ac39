# SPDX-License-Identifier: MIT
"""The editor of transformations: saving, testing with a message, and what it refuses."""

import json
from typing import Any

import pytest

from portal.kit import Browser, FormOnPage, Page, Site
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE

RENAME = "function handler(webhook) { webhook.payload = { amount: webhook.payload.sum }; return webhook }"
CANCEL = "function handler(webhook) { webhook.cancel = true; return webhook }"


async def _editor(site: Site, **access: Any) -> tuple[Browser, str, str]:
    """Return a browser on the editor, the application, and the path of the API of the transformation."""
    app = await site.api.app()
    await site.api.made("/event-type", {"name": "invoice.paid", "description": "x"})
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app, **access)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}/transformation")
    return browser, app, f"/app/{app}/endpoint/{endpoint}/transformation"


async def _message(site: Site, app: str, **payload: Any) -> str:
    made = await site.api.made(f"/app/{app}/msg", {"eventType": "invoice.paid", "payload": payload})
    return str(made["id"])


def _form(page: Page) -> FormOnPage:
    """Return the form with the script; another one offers those of connectors."""
    return next(form for form in page.forms if "code" in form.values)


async def _send(browser: Browser, **fields: Any) -> Page:
    form = _form(browser.page)
    return await browser.post(form.action, **{**form.values, **fields})


async def test_a_script_is_tested_with_a_recent_message_before_it_is_saved(site: Site) -> None:
    browser, app, api = await _editor(site)
    await _message(site, app, sum=7)
    await browser.open(browser.path)

    page = await _send(browser, do="test", code=RENAME)

    assert {"sum": 7} == json.loads(page.text_of("before"))
    assert {"amount": 7} == json.loads(page.text_of("after"))
    assert (await site.api.read(api))["code"] is None, "nothing is saved"
    page = await _send(browser, do="save", enabled="on")
    assert "The changes are saved." in page.said
    saved = await site.api.read(api)
    assert (RENAME, True) == (saved["code"], saved["enabled"])
    page = await browser.open(browser.path.removesuffix("/transformation"))
    assert "A script changes each message." in page.said


async def test_any_message_is_found_by_its_id_and_none_of_another_application(lite_site: Site) -> None:
    browser, app, _ = await _editor(lite_site)
    first = await _message(lite_site, app, sum=1)
    await _message(lite_site, app, sum=2)
    foreign = await _message(lite_site, await lite_site.api.app(), sum=3)

    assert {"amount": 1} == json.loads((await _send(browser, do="test", code=RENAME, other=first)).text_of("after"))
    page = await _send(browser, do="test", code=RENAME, other=foreign)

    assert (422, True) == (browser.status, "There is no message with this id." in page.said)


async def test_a_canceled_message_is_shown_as_one(lite_site: Site) -> None:
    browser, app, _ = await _editor(lite_site)
    await _message(lite_site, app, sum=1)
    await browser.open(browser.path)

    page = await _send(browser, do="test", code=CANCEL)

    assert "nothing would be sent to the endpoint" in page.said


@pytest.mark.parametrize("do", ["test", "save"])
async def test_a_script_that_does_not_compile_is_kept_with_the_place_of_its_error(lite_site: Site, do: str) -> None:
    browser, app, api = await _editor(lite_site)
    await _message(lite_site, app, sum=1)
    await browser.open(browser.path)
    broken = "function handler(webhook) {\n  return webhook.;\n}"

    page = await _send(browser, do=do, code=broken, enabled="on")

    assert 422 == browser.status
    assert "line 2" in page.said
    assert broken == _form(page).values["code"]
    assert (await lite_site.api.read(api))["code"] is None


async def test_variables_are_added_changed_and_removed_by_rows(lite_site: Site) -> None:
    browser, _, api = await _editor(lite_site)
    await _send(browser, do="save", code=RENAME, name=["TEAM", "KEY"], value=["red", "two\r\nlines"])
    assert {"TEAM": "red", "KEY": "two\nlines"} == (await lite_site.api.read(api))["variables"]

    await _send(browser, do="save", name=["TEAM", "", ""], value=["blue", "", ""])

    assert {"TEAM": "blue"} == (await lite_site.api.read(api))["variables"]


@pytest.mark.parametrize(
    ("names", "values", "said"),
    [
        (["A", "A"], ["1", "2"], "Two variables have the same name."),
        (["", "B"], ["1", "2"], "Give each variable a name."),
        ([f"V{number}" for number in range(65)], ["x"] * 65, "variables must have at most 64 items."),
        (["A", "B"], ["x" * 17_000, ""], "variables must have at most 16384 bytes in all."),
    ],
)
async def test_wrong_variables_are_explained(lite_site: Site, names: list[str], values: list[str], said: str) -> None:
    browser, _, api = await _editor(lite_site)

    page = await _send(browser, do="save", code=RENAME, name=names, value=values)

    assert (422, True) == (browser.status, said in page.said)
    assert (await lite_site.api.read(api))["updatedAt"] is None


async def test_a_form_of_an_older_version_overwrites_nothing(lite_site: Site) -> None:
    browser, _, api = await _editor(lite_site)
    await lite_site.api.call("PATCH", api, json={"code": CANCEL})

    page = await _send(browser, do="save", code=RENAME)

    assert (422, True) == (browser.status, "This transformation has changed since the page was opened." in page.said)
    assert CANCEL == (await lite_site.api.read(api))["code"]


async def test_the_script_of_a_connector_is_offered_and_not_saved(lite_site: Site) -> None:
    browser, _, api = await _editor(lite_site)
    made = {"name": "Chat", "uid": "chat", "instructions": "Paste <the> URL.", "transformation": CANCEL}
    await lite_site.api.made("/connector", made)

    page = await browser.open(browser.path, connector="chat")

    assert CANCEL == _form(page).values["code"]
    assert "Paste <the> URL." in page.said
    assert (await lite_site.api.read(api))["code"] is None


async def test_a_transformation_is_removed(lite_site: Site) -> None:
    browser, _, api = await _editor(lite_site)
    await _send(browser, do="save", code=RENAME, enabled="on", name=["A"], value=["1"])

    await browser.submit("/transformation/delete")

    left = await lite_site.api.read(api)
    assert (None, False, None) == (left["code"], left["enabled"], left["variables"])


async def test_a_session_without_the_capability_sees_no_transformation(lite_site: Site) -> None:
    browser, _, _ = await _editor(lite_site, capabilities=["ViewBase", "ManageEndpoint"])
    assert 403 == browser.status

    page = await browser.open(browser.path.removesuffix("/transformation"))

    assert "Transformation" not in page.said


async def test_a_deleted_payload_is_explained(lite_site: Site) -> None:
    browser, app, _ = await _editor(lite_site)
    message = await _message(lite_site, app, sum=1)
    await lite_site.api.call("DELETE", f"/app/{app}/msg/{message}/content")

    page = await _send(browser, do="test", code=RENAME, other=message)

    assert "The payload of this message is deleted." in page.said


async def test_hostile_text_is_inert(lite_site: Site) -> None:
    browser, app, _ = await _editor(lite_site)
    await _message(lite_site, app, sum=HOSTILE)
    await browser.open(browser.path)
    code = f"/* {HOSTILE} */ function handler(webhook) {{ return webhook }}"

    await _send(browser, do="test", code=code, name=[HOSTILE[:200]], value=[HOSTILE])

    assert "after" in browser.page.named
    assert_inert(browser)
