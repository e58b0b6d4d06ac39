# SPDX-License-Identifier: MIT
"""The console: what each page shows, and that no one sees or changes what is not theirs."""

from typing import Final

import pytest

from api.kit import ORG, SECRET, Api
from portal.kit import Browser, Site
from tidings.core.access import issue_org_token
from tidings.ids import OrgId
from tidings.model.api_key import KeyScope
from tidings.portal.table import VIEWS
from tidings.portal.view import Scope, View

OTHER: Final = OrgId("org_00000000000000000000000000F")
HOSTILE: Final = "<script>alert(1)</script>\"'&{{ 7*191 }}"
PAGES: Final = [each for each in VIEWS if not each.path.endswith("/live")]
OF_ORG: Final = [each for each in PAGES if each.scope is Scope.ORGANIZATION]
OF_ALL: Final = [each for each in PAGES if each.scope is Scope.INSTALLATION]


def path_of(view: View, org: str = ORG) -> str:
    """Return the address of a view; its parameters name what all have, or nothing."""
    prefix = f"/console/{org}" if view.scope is Scope.ORGANIZATION else "/console"
    return prefix + view.path.replace("{name}", "a.b").replace("{key_id}", "key_1").replace(
        "{connector_id}", "tidings.slack"
    ).replace("{task_id}", "qtask_1")


def named(view: View) -> str:
    return f"{view.method} {view.scope.name} {view.path}"


async def undelivered(api: Api, app: str, number: int = 1) -> tuple[str, list[str]]:
    """Create an endpoint that has lost messages; return its id and theirs."""
    endpoint = await api.endpoint(app)
    lost = [await api.message(app) for _ in range(number)]
    async with api.db.write() as tx:
        await tx.run("DELETE FROM delivery")
    for each in lost:
        await api.attempt(app, endpoint, each, status=2, code=500)
    return endpoint, lost


# --- who may see and do what


@pytest.mark.parametrize("view", [*OF_ORG, *OF_ALL], ids=named)
async def test_without_a_session_every_page_leads_to_the_sign_in(lite_site: Site, view: View) -> None:
    browser = lite_site.browser()
    if view.writes:
        await browser.post(path_of(view))
        assert 401 == browser.status
    else:
        await browser.open(path_of(view))
        assert "/console/sign-in" == browser.path


async def test_another_organization_gets_no_page_and_no_form(lite_site: Site) -> None:
    browser = await lite_site.console(issue_org_token(SECRET, OTHER, lite_site.api.clock.now()))

    for view in OF_ORG:
        await (browser.post if view.writes else browser.open)(path_of(view))
        assert 404 == browser.status, named(view)


async def test_an_organization_sees_nothing_of_the_installation(lite_site: Site) -> None:
    browser = await lite_site.console()

    for view in OF_ALL:
        await browser.open(path_of(view))
        assert browser.status == 403 or browser.path == f"/console/{ORG}", named(view)


async def test_the_token_of_an_application_gets_no_page(lite_site: Site) -> None:
    app = await lite_site.api.app()
    token = (await lite_site.api.made(f"/auth/app-portal-access/{app}", {}))["token"]
    browser = lite_site.browser()
    browser.client.cookies.set("tidings_console", token, domain="tidings.local", path="/console")
    browser.client.headers["cookie"] = f"tidings_console={token}"

    for view in (*OF_ORG, *OF_ALL):
        await (browser.post if view.writes else browser.open)(path_of(view))
        assert 403 == browser.status, named(view)


@pytest.mark.parametrize("scope", [KeyScope.ORGANIZATION, KeyScope.OPERATOR])
async def test_a_read_only_key_sees_everything_and_changes_nothing(lite_site: Site, scope: KeyScope) -> None:
    api = lite_site.api
    app = await api.app(name="Acme")
    await undelivered(api, app)
    await api.made("/event-type", {"name": "a.b", "description": ""})
    browser = await lite_site.console((await api.key(scope, read_only=True)).text)
    reading = {path_of(view) for view in OF_ORG if view.is_reading}

    for view in OF_ORG:
        if view.writes and not view.is_reading:
            await browser.post(path_of(view))
            assert 403 == browser.status, named(view)
        elif not view.writes and "task_id" not in view.path:
            await browser.open(path_of(view))
            assert 200 == browser.status, named(view)
            forms = [each.action for each in browser.page.forms if "csrf" in each.values and each.action not in reading]
            assert [] == forms, named(view)
    await browser.open(f"/console/{ORG}/app/{app}")
    assert not [each for each in browser.page.forms if each.action.endswith("open-portal")]


async def test_every_form_needs_its_token(lite_site: Site) -> None:
    browser = await lite_site.console()

    for view in OF_ORG:
        if view.writes:
            await browser.post(path_of(view), csrf="AAAA")
            assert 403 == browser.status, named(view)
            assert "out of date" in browser.page.said


async def test_pages_of_an_organization_without_data_help(site: Site) -> None:
    browser = await site.console()

    for view in OF_ORG:
        if not view.writes and "{" not in view.path:
            await browser.open(path_of(view))
            assert 200 == browser.status, named(view)
            assert len(browser.text.encode()) < 60_000
    said = (await browser.open(f"/console/{ORG}")).said
    assert "Healthy." in said
    assert "No endpoint yet" in said


async def test_hostile_texts_are_inert_on_every_page(lite_site: Site) -> None:
    api = lite_site.api
    app = await api.app(name=HOSTILE)
    endpoint = await api.endpoint(app, url="http://example.com/<script>alert(1)</script>?'\"", description=HOSTILE)
    msg = await api.message(app, eventId="e-1")
    await api.attempt(app, endpoint, msg, status=2, code=500)
    await api.made("/event-type", {"name": "a.b", "description": HOSTILE, "schemas": {HOSTILE: {"title": HOSTILE}}})
    browser = await lite_site.console()
    await browser.open(f"/console/{ORG}/key")
    await browser.submit("/key", name=HOSTILE)
    async with api.db.write() as tx:
        await tx.run("UPDATE endpoint SET failing_since = 1, last_failure_at = 1")

    for view in OF_ORG:
        if not view.writes and "task_id" not in view.path:
            await browser.open(path_of(view), q=HOSTILE, type=HOSTILE, tag=HOSTILE, status=HOSTILE, done=HOSTILE)
            _is_inert(browser, named(view))
            await browser.open(path_of(view))
            _is_inert(browser, named(view))
    for path, action in (("new-event-type", "event-type"), ("key", "key")):
        await browser.open(f"/console/{ORG}/{path}")
        await browser.submit(f"/{action}", name=HOSTILE, uid=HOSTILE, app=HOSTILE, scope=HOSTILE, schemas=HOSTILE)
        _is_inert(browser, path)


def _is_inert(browser: Browser, where: str) -> None:
    assert browser.status in (200, 422), where
    assert "<script>alert" not in browser.text, where
    assert "1337" not in browser.page.said, where
    assert not [given for _, given in browser.page.tags if any(name.startswith("on") for name in given)], where


@pytest.mark.parametrize("query", ["at=nonsense&state=x", "at=%00", "at=" + "x" * 5_000, "since=never&q=%ff", "at=-"])
async def test_odd_queries_are_clear_pages(site: Site, query: str) -> None:
    browser = await site.console()

    for view in OF_ORG:
        if not view.writes and "{" not in view.path:
            await browser.open(f"{path_of(view)}?{query}")
            assert browser.status in (200, 400, 404, 422), named(view)
            assert "Traceback" not in browser.text
