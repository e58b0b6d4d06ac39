# SPDX-License-Identifier: MIT
"""Connectors of an organization in the console: create, change, versions, delete; whose they are."""

import asyncio
from typing import Any, Final

import pytest

from api.kit import ORG, SECRET, Json
from portal.kit import Browser, Site, form_token
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE
from tidings.core.access import issue_org_token
from tidings.ids import OrgId
from tidings.model.api_key import KeyScope

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

SCRIPT: Final = "function handler(webhook) { return webhook; }"
PATH: Final = f"/console/{ORG}/connector"
NEW: Final = f"/console/{ORG}/new-connector"
OTHER: Final = OrgId("org_00000000000000000000000000F")


async def _made(site: Site, **more: Any) -> str:
    made = await site.api.made("/connector", {"name": "Mine", "uid": "mine", "transformation": SCRIPT, **more})
    return str(made["id"])


async def _stored(site: Site, ref: str = "mine") -> Json:
    return await site.api.read(f"/connector/{ref}")


async def _submitted(browser: Browser, connector_id: str, **fields: Any) -> str:
    return (await browser.submit(f"/connector/{connector_id}", **fields)).said


async def test_a_connector_is_created_with_all_that_a_request_can_have(site: Site) -> None:
    for name in ("invoice.paid", "invoice.failed"):
        await site.api.made("/event-type", {"name": name, "description": "d"})
    browser = await site.console()
    assert "No connector of your own yet" in (await browser.open(PATH)).said
    await browser.open(NEW)

    page = await browser.submit(
        "/connector",
        name="Zendesk",
        uid="zendesk",
        kind="Zapier",
        description="Open a ticket.",
        instructions="1. Open **Zendesk**\r\n2. Copy the URL",
        script=f"// of us\r\n{SCRIPT}",
        subscribe="some",
        types=["invoice.failed"],
        flags="beta, gamma",
        logo="https://example.com/logo.png",
    )

    assert "The connector is created." in page.said
    made = await _stored(site, "zendesk")
    assert "Version 1" in page.said
    expected = {
        "name": "Zendesk",
        "kind": "Zapier",
        "description": "Open a ticket.",
        "instructions": "1. Open **Zendesk**\n2. Copy the URL",
        "transformation": f"// of us\n{SCRIPT}",
        "allowedEventTypes": ["invoice.failed"],
        "featureFlags": ["beta", "gamma"],
        "logo": "https://example.com/logo.png",
        "productType": "Dispatch",
    }
    assert expected == {name: made[name] for name in expected}
    page = await browser.open(PATH)
    assert "Zendesk" in page.said
    assert "with a feature flag" in page.said


async def test_a_form_sent_twice_creates_one(site: Site) -> None:
    browser = await site.console()
    form = (await browser.open(NEW)).form("/connector")
    values = {**form.values, "name": "Mine", "script": SCRIPT}
    headers = {"origin": "http://tidings"}

    sent = await asyncio.gather(*(browser.client.post(form.action, data=values, headers=headers) for _ in range(3)))

    assert 1 == len({each.headers["location"] for each in sent})
    own = [each for each in (await site.api.read("/connector"))["data"] if not each["x"]["isBuiltIn"]]
    assert 1 == len(own)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"name": ""}, "Give the connector a name."),
        ({"script": "function handler(webhook) {\n  return webhook +;\n}"}, "line 2, column 19"),
        ({"script": "short"}, "script must have 10 to 51,200 characters."),
        ({"uid": "tidings.mine"}, "belong to built-in connectors"),
        ({"uid": "taken"}, "Another connector has this uid."),
        ({"subscribe": "some"}, "Choose at least one event type, or all of them."),
        ({"flags": "no/flag"}, "String must match the following pattern"),
        ({"flags": " ".join(f"f{n}" for n in range(26))}, "flags must have at most 25 items."),
        ({"logo": "javascript:alert(1)"}, "logo must be a URL"),
        ({"kind": "Nonsense"}, "Choose a product of the list."),
        ({"instructions": "x" * 51_201}, "String too long"),
    ],
)
async def test_a_wrong_value_is_marked_and_creates_nothing(lite_site: Site, fields: dict[str, str], fault: str) -> None:
    await _made(lite_site, uid="taken")
    browser = await lite_site.console()
    await browser.open(NEW)

    page = await browser.submit("/connector", **{"name": "New", "script": SCRIPT, **fields})

    assert 422 == browser.status
    assert fault in page.said
    assert page.form("/connector").values["name"] == fields.get("name", "New")
    names = [each["name"] for each in (await lite_site.api.read("/connector"))["data"]]
    assert "New" not in names


async def test_another_script_is_another_version_and_the_first_one_can_return(site: Site) -> None:
    connector = await _made(site)
    browser = await site.console()
    await browser.open(f"{PATH}/mine")

    said = await _submitted(browser, connector, script=f"{SCRIPT} // 2")
    assert "The new version is saved." in said
    assert "Version 2" in said
    said = await _submitted(browser, connector, description="Only words")
    assert "The changes are saved." in said
    assert 2 == (await _stored(site))["x"]["version"]
    page = await browser.open(f"{PATH}/{connector}", version="1")
    assert "This is the script of version 1." in page.said
    assert SCRIPT == page.form(f"/connector/{connector}").values["script"]
    await _submitted(browser, connector)
    stored = await _stored(site)
    assert (SCRIPT, 3) == (stored["transformation"], stored["x"]["version"])
    await browser.open(f"{PATH}/{connector}", version="17")
    assert 404 == browser.status


async def test_a_script_that_does_not_compile_changes_nothing(site: Site) -> None:
    connector = await _made(site)
    browser = await site.console()
    await browser.open(f"{PATH}/{connector}")

    said = await _submitted(browser, connector, script="function handler() { return ;;; } }", name="Other")

    assert 422 == browser.status
    assert "line 1, column" in said
    stored = await _stored(site)
    assert ("Mine", SCRIPT, 1) == (stored["name"], stored["transformation"], stored["x"]["version"])


async def test_a_stale_page_overwrites_nothing_before_it_is_sent_again(site: Site) -> None:
    connector = await _made(site)
    browser = await site.console()
    await browser.open(f"{PATH}/{connector}")
    site.api.clock.advance(5)
    await site.api.call("PATCH", "/connector/mine", json={"description": "meanwhile"})

    said = await _submitted(browser, connector, name="Mine, too")
    assert 422 == browser.status
    assert "was changed since this page was opened" in said
    assert "Mine" == (await _stored(site))["name"]
    await _submitted(browser, connector)
    assert "Mine, too" == (await _stored(site))["name"]


async def test_the_product_of_a_stored_connector_stays(lite_site: Site) -> None:
    connector = await _made(lite_site, productType="Stream")
    browser = await lite_site.console()
    assert "for streams" in (await browser.open(PATH)).said
    await browser.open(f"{PATH}/{connector}")

    await _submitted(browser, connector, name="Stream")

    stored = await _stored(lite_site)
    assert ("Stream", "Stream", "mine") == (stored["name"], stored["productType"], stored["uid"])


async def test_built_in_connectors_are_shown_and_copied_and_never_changed(lite_site: Site) -> None:
    browser = await lite_site.console()
    page = await browser.open(f"{PATH}/tidings.slack")
    assert "built in" in page.said
    assert "Incoming Webhooks" in page.said
    assert not [each for each in page.forms if "script" in each.values]

    page = await browser.open(NEW, **{"from": "tidings.slack"})
    values = page.form("/connector").values
    slack = await _stored(lite_site, "tidings.slack")
    assert ("Slack (copy)", "", slack["transformation"]) == (values["name"], values["uid"], values["script"])
    # A form with a valid token for these addresses still changes nothing.
    token = form_token(browser, f"{PATH}/tidings.slack")
    await browser.post(f"{PATH}/tidings.slack", csrf=token, name="Mine", script=SCRIPT)
    assert 409 == browser.status
    await browser.post(f"{PATH}/tidings.slack/delete", csrf=form_token(browser, f"{PATH}/tidings.slack/delete"))
    assert 409 == browser.status


async def test_a_deleted_connector_leaves_the_scripts_of_endpoints(site: Site) -> None:
    connector, app = await _made(site), await site.api.app()
    endpoint = await site.api.endpoint(app)
    await site.api.call("PUT", f"/app/{app}/endpoint/{endpoint}/connector", json={"connectorId": "mine"})
    browser = await site.console()
    await browser.open(f"{PATH}/{connector}")

    page = await browser.submit("/delete")

    assert "The connector is deleted." in page.said
    assert 404 == (await site.api.call("GET", "/connector/mine")).status_code
    found = await site.api.read(f"/app/{app}/endpoint/{endpoint}/transformation")
    assert (SCRIPT, True) == (found["code"], found["enabled"])


async def test_buttons_that_do_not_save_keep_what_was_typed(lite_site: Site) -> None:
    await lite_site.api.made("/event-type", {"name": "invoice.paid", "description": "d"})
    connector = await _made(lite_site)
    browser = await lite_site.console()
    await browser.open(f"{PATH}/{connector}")

    page = await browser.submit(
        f"/connector/{connector}", name="Typed", instructions="Open **it**", preview="1", script="not a script"
    )
    assert "<strong>it</strong>" in browser.text
    assert "Typed" == page.form(f"/connector/{connector}").values["name"]
    page = await browser.submit(f"/connector/{connector}", find="1", find_text="paid", subscribe="some")
    assert "invoice.paid" in page.said
    assert "Mine" == (await _stored(lite_site))["name"]


async def test_connectors_of_another_organization_do_not_exist(lite_site: Site) -> None:
    connector = await _made(lite_site)
    other = issue_org_token(SECRET, OTHER, lite_site.api.clock.now())
    await lite_site.api.call("POST", "/app", json={"name": "x"}, token=other)
    browser = await lite_site.console(other)

    for path in (f"/console/{OTHER}/connector/{connector}", f"/console/{OTHER}/new-connector?from={connector}"):
        await browser.open(path)
        assert 404 == browser.status
    for action in ("", "/delete"):
        target = f"/console/{OTHER}/connector/{connector}{action}"
        await browser.post(target, csrf=form_token(browser, target), name="Theirs", script=SCRIPT)
        assert 404 == browser.status
    assert "Mine" == (await _stored(lite_site))["name"]


async def test_a_read_only_key_reads_the_script_and_changes_nothing(lite_site: Site) -> None:
    connector = await _made(lite_site, instructions="Open **it**")
    key = await lite_site.api.key(KeyScope.ORGANIZATION, read_only=True)
    browser = await lite_site.console(key.text)

    page = await browser.open(f"{PATH}/{connector}")
    assert SCRIPT in page.said
    assert not [each for each in page.forms if "csrf" in each.values]
    assert "Make a copy" not in (await browser.open(PATH)).said
    for action in ("", "/delete"):
        target = f"{PATH}/{connector}{action}"
        await browser.post(target, csrf=form_token(browser, target), name="Theirs", script=SCRIPT)
        assert 403 == browser.status
    assert "Mine" == (await _stored(lite_site))["name"]


async def test_an_operator_acts_as_the_organization(lite_site: Site) -> None:
    await _made(lite_site)
    browser = await lite_site.console((await lite_site.api.key(KeyScope.OPERATOR)).text)
    await browser.open(NEW)

    page = await browser.submit("/connector", name="By the operator", script=SCRIPT)

    assert "The connector is created." in page.said
    assert "By the operator" in [each["name"] for each in (await lite_site.api.read("/connector"))["data"]]


async def test_what_people_wrote_is_text(lite_site: Site) -> None:
    connector = await _made(
        lite_site,
        name=HOSTILE,
        description=HOSTILE,
        instructions=f"# {HOSTILE}",
        transformation=f"{SCRIPT} // {HOSTILE}",
    )
    await lite_site.api.call("PATCH", f"/connector/{connector}", json={"transformation": f"{SCRIPT} /* {HOSTILE} */"})
    browser = await lite_site.console()

    for path in (PATH, f"{PATH}/{connector}", f"{PATH}/{connector}?version=1", f"{NEW}?from={connector}"):
        await browser.open(path)
        assert 200 == browser.status
        assert_inert(browser)
