# SPDX-License-Identifier: MIT
"""Integrations of an application in the console: their keys, which are shown once, and whose they are."""

import asyncio
import re
from typing import Any, Final

import pytest

from api.kit import ORG, SECRET, Json
from portal.kit import Browser, Page, Site, form_token
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE
from tidings.core.access import issue_org_token
from tidings.ids import OrgId
from tidings.model.api_key import KeyScope

OTHER: Final = OrgId("org_00000000000000000000000000F")
HEADERS: Final = {"origin": "http://tidings"}


async def _opened(site: Site, token: str | None = None) -> tuple[Browser, str, str]:
    """Return a browser on the integrations of a new application, their path, and that of the API."""
    app = await site.api.app()
    browser = await site.console(token)
    path = f"/console/{ORG}/app/{app}/integration"
    await browser.open(path)
    return browser, path, f"/app/{app}/integration"


def _key(page: Page) -> str:
    return page.text_of("new-key")


async def _listed(site: Site, api: str) -> list[Json]:
    return list((await site.api.read(api))["data"])


async def _status(site: Site, api: str, key: str) -> int:
    """Return the status of a request of the application with a key."""
    return (await site.api.call("GET", api.replace("/integration", "/endpoint"), token=key)).status_code


async def test_an_integration_is_created_with_a_key_that_is_shown_once(site: Site) -> None:
    browser, path, api = await _opened(site)
    assert "No integration yet" in browser.page.said

    page = await browser.submit("/integration", name="Zapier", flags="beta, gamma beta")

    assert "Copy the key now" in page.said
    key = _key(page)
    assert 200 == await _status(site, api, key)
    [made] = await _listed(site, api)
    assert ("Zapier", ["beta", "gamma"]) == (made["name"], made["featureFlags"])
    for again in (path, f"{path}/{made['id']}"):
        page = await browser.open(again)
        assert key not in browser.text
        assert f"…{key[-4:]}" in page.said


async def test_a_form_sent_twice_creates_one_integration_and_one_key(site: Site) -> None:
    browser, path, api = await _opened(site)
    values = {**browser.page.form("/integration").values, "name": "Zapier"}

    sent = await asyncio.gather(*(browser.client.post(path, data=values, headers=HEADERS) for _ in range(3)))

    assert [200, 200, 200] == [each.status_code for each in sent]
    [key] = {_key(Page(each.text)) for each in sent}
    assert 200 == await _status(site, api, key)
    assert 1 == len(await _listed(site, api))


async def test_a_new_key_ends_the_previous_one(site: Site) -> None:
    browser, path, api = await _opened(site)
    first = _key(await browser.submit("/integration", name="Zapier"))
    [made] = await _listed(site, api)
    await browser.open(f"{path}/{made['id']}")

    second = _key(await browser.submit("/rotate"))

    assert first != second
    assert (401, 200) == (await _status(site, api, first), await _status(site, api, second))


async def test_an_integration_of_the_api_gets_its_first_key_here(lite_site: Site) -> None:
    browser, path, api = await _opened(lite_site)
    made = await lite_site.api.made(api, {"name": "Zapier"})
    assert "no key yet" in (await browser.open(path)).said
    page = await browser.open(f"{path}/{made['id']}")
    assert "Create the key" in page.said

    assert 200 == await _status(lite_site, api, _key(await browser.submit("/rotate")))


async def test_name_and_flags_change_and_the_key_stays(site: Site) -> None:
    browser, path, api = await _opened(site)
    key = _key(await browser.submit("/integration", name="Zapier"))
    [made] = await _listed(site, api)
    await browser.open(f"{path}/{made['id']}")

    page = await browser.submit(f"/integration/{made['id']}", name="Zapier, EU", flags="eu")

    assert "The changes are saved." in page.said
    [changed] = await _listed(site, api)
    assert ("Zapier, EU", ["eu"]) == (changed["name"], changed["featureFlags"])
    assert 200 == await _status(site, api, key)
    await browser.submit(f"/integration/{made['id']}", flags="")
    assert "featureFlags" not in (await _listed(site, api))[0]


async def test_a_stale_page_overwrites_nothing_before_it_is_sent_again(site: Site) -> None:
    browser, path, api = await _opened(site)
    made = await site.api.made(api, {"name": "Zapier"})
    await browser.open(f"{path}/{made['id']}")
    site.api.clock.advance(5)
    await site.api.call("PUT", f"{api}/{made['id']}", json={"name": "meanwhile"})

    page = await browser.submit(f"/integration/{made['id']}", name="Mine")
    assert 422 == browser.status
    assert "was changed since this page was opened" in page.said
    assert "meanwhile" == (await _listed(site, api))[0]["name"]
    await browser.submit(f"/integration/{made['id']}")
    assert "Mine" == (await _listed(site, api))[0]["name"]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"name": ""}, "Give the integration a name."),
        ({"name": "x" * 4_097}, "String too long"),
        ({"flags": "no/flag"}, "String must match the following pattern"),
        ({"flags": " ".join(f"f{n}" for n in range(26))}, "flags must have at most 25 items."),
    ],
)
async def test_a_wrong_value_is_marked_and_changes_nothing(lite_site: Site, fields: dict[str, str], fault: str) -> None:
    browser, path, api = await _opened(lite_site)
    page = await browser.submit("/integration", **{"name": "New", **fields})
    assert 422 == browser.status
    assert fault in page.said
    assert [] == await _listed(lite_site, api)

    made = await lite_site.api.made(api, {"name": "Old"})
    await browser.open(f"{path}/{made['id']}")
    page = await browser.submit(f"/integration/{made['id']}", **{"name": "New", **fields})
    assert 422 == browser.status
    assert fault in page.said
    assert "Old" == (await _listed(lite_site, api))[0]["name"]


async def test_too_many_integrations_are_an_error_beside_the_form(lite_site: Site) -> None:
    browser, path, api = await _opened(lite_site)
    for number in range(lite_site.api.context.services.tuning.integrations_per_application):
        await lite_site.api.made(api, {"name": str(number)})
    await browser.open(path)

    page = await browser.submit("/integration", name="One more")

    assert 422 == browser.status
    assert "integrations, the most" in page.said


async def test_a_deleted_integration_ends_its_key(site: Site) -> None:
    browser, path, api = await _opened(site)
    key = _key(await browser.submit("/integration", name="Zapier"))

    page = await browser.submit("/delete")

    assert "The integration is deleted." in page.said
    assert path == browser.path
    assert [] == await _listed(site, api)
    assert 401 == await _status(site, api, key)


async def test_only_the_application_of_the_address_has_the_integration(lite_site: Site) -> None:
    browser, path, api = await _opened(lite_site)
    made = await lite_site.api.made(api, {"name": "Zapier"})
    elsewhere = path.replace(path.split("/")[4], await lite_site.api.app())

    await browser.open(f"{elsewhere}/{made['id']}")
    assert 404 == browser.status
    for action in ("", "/rotate", "/delete"):
        target = f"{elsewhere}/{made['id']}{action}"
        await browser.post(target, csrf=form_token(browser, target), name="Theirs")
        assert 404 == browser.status
    assert "Zapier" == (await _listed(lite_site, api))[0]["name"]


async def test_another_organization_and_the_portal_have_no_such_page(lite_site: Site) -> None:
    _, path, api = await _opened(lite_site)
    made = await lite_site.api.made(api, {"name": "Zapier"})
    app = path.split("/")[4]
    portal = await lite_site.portal(app)
    other = await lite_site.console(issue_org_token(SECRET, OTHER, lite_site.api.clock.now()))

    for page in (path, f"{path}/{made['id']}"):
        await other.open(page)
        assert 404 == other.status
        await other.open(page.replace(ORG, OTHER))
        assert 404 == other.status
    for page in ("integration", f"integration/{made['id']}"):
        await portal.open(f"/portal/{app}/{page}")
        assert 404 == portal.status
    assert "Integrations" not in (await portal.open(f"/portal/{app}")).said


async def test_a_read_only_key_sees_no_form_and_changes_nothing(lite_site: Site) -> None:
    key = await lite_site.api.key(KeyScope.ORGANIZATION, read_only=True)
    browser, path, api = await _opened(lite_site, key.text)
    made = await lite_site.api.made(api, {"name": "Zapier", "featureFlags": ["beta"]})

    for page in (path, f"{path}/{made['id']}"):
        found = await browser.open(page)
        assert "Zapier" in found.said
        assert "beta" in found.said
        assert not [each for each in found.forms if "csrf" in each.values]
    for target in (path, *(f"{path}/{made['id']}{action}" for action in ("", "/rotate", "/delete"))):
        await browser.post(target, csrf=form_token(browser, target), name="Theirs")
        assert 403 == browser.status
    assert "Zapier" == (await _listed(lite_site, api))[0]["name"]


async def test_forms_need_their_tokens(lite_site: Site) -> None:
    browser, path, api = await _opened(lite_site)
    made = await lite_site.api.made(api, {"name": "Zapier"})

    for target in (path, *(f"{path}/{made['id']}{action}" for action in ("", "/rotate", "/delete"))):
        await browser.post(target, csrf=form_token(browser, f"{target}/x"), name="Theirs")
        assert 403 == browser.status
    assert ["Zapier"] == [each["name"] for each in await _listed(lite_site, api)]


async def test_an_operator_is_named_as_the_creator_of_the_key(lite_site: Site) -> None:
    operator = await lite_site.api.key(KeyScope.OPERATOR)
    browser, _, _ = await _opened(lite_site, operator.text)

    await browser.submit("/integration", name="Zapier")

    async with lite_site.api.db.read() as read:
        row: Any = await read.one("SELECT created_by FROM api_key WHERE integration_id IS NOT NULL")
    assert operator.key.id == row["created_by"]


async def test_what_people_wrote_is_text(lite_site: Site) -> None:
    browser, path, _ = await _opened(lite_site)
    await browser.submit("/integration", name=HOSTILE)
    assert_inert(browser)
    found = re.search(r"integration/(integ_\w+)", browser.text)
    assert found is not None

    for page in (path, f"{path}/{found[1]}"):
        await browser.open(page)
        assert_inert(browser)
