# SPDX-License-Identifier: MIT
"""The pages of the console: what each one shows, finds and changes."""

import pytest

from api.kit import ORG, SECRET, Api
from portal.kit import Browser, FormOnPage, Site
from portal.test_console import OTHER, undelivered
from tidings import ids
from tidings.clock import HOUR, rfc3339
from tidings.core import lookup
from tidings.core.access import issue_org_token
from tidings.core.lookup import QueryKind
from tidings.core.rollups import COUNTED
from tidings.model.api_key import KeyScope
from tidings.portal.sessions import Session, form_key
from tidings.storage.tables import nodes


async def test_the_home_says_what_needs_attention(site: Site) -> None:
    api = site.api
    app = await api.app(name="Acme")
    endpoint, _ = await undelivered(api, app, 3)
    async with api.db.write() as tx:
        await tx.run("UPDATE endpoint SET failing_since = :now, last_failure_at = :now", now=api.clock.now())
    browser = await site.console()

    page = await browser.open(f"/console/{ORG}")

    assert "1 endpoint needs attention." in page.said
    assert f"/console/{ORG}/app/{app}/endpoint/{endpoint}" in page.links
    assert "0 delivered, 3 failed: 0 % successful" in page.said
    assert "example.com" in page.said


async def test_applications_are_found_by_id_uid_and_name(site: Site) -> None:
    api = site.api
    acme = await api.app(name="The Acme Company", uid="customer-1")
    await api.app(name="Other", uid="somebody")
    browser = await site.console()

    for query in (acme, "customer-1", "cust", "acme", "ACME comp"):
        page = await browser.open(f"/console/{ORG}/app", q=query)
        assert ("The Acme Company" in page.said, "Other" in page.said) == (True, False), query
    for query in ("%", "_", "nothing", "app_" + "0" * 27, "\N{GRINNING FACE}"):
        assert "No application found" in (await browser.open(f"/console/{ORG}/app", q=query)).said, query


def creation(browser: Browser) -> FormOnPage:
    """Return the form that creates an application; the search is another form with this address."""
    [form] = [each for each in browser.page.forms if each.action.endswith("/app") and "csrf" in each.values]
    return form


async def test_an_application_is_created_once(site: Site) -> None:
    browser = await site.console()
    await browser.open(f"/console/{ORG}/app")
    form = creation(browser)

    await browser.post(form.action, **{**form.values, "name": "Acme", "uid": "acme"})
    assert "Created." in browser.page.said
    first = browser.path
    await browser.post(form.action, **{**form.values, "name": "Acme", "uid": "acme"})

    assert first == browser.path
    await browser.open(f"/console/{ORG}/app")
    form = creation(browser)
    await browser.post(form.action, **{**form.values, "name": "Again", "uid": "acme"})
    assert (422, True) == (browser.status, "Another application has this uid" in browser.page.said)


@pytest.mark.parametrize(("access", "may"), [("full", True), ("read-only", False)])
async def test_the_portal_of_an_application_opens_as_its_users_see_it(site: Site, access: str, *, may: bool) -> None:
    app = await site.api.app(name="Acme")
    browser = await site.console()
    await browser.open(f"/console/{ORG}/app/{app}")

    await browser.submit("/open-portal", access=access)

    assert (200, f"/portal/{app}") == (browser.status, browser.path)
    [cookie] = [each for each in browser.client.cookies.jar if each.path == f"/portal/{app}"]
    target = f"/portal/{app}/endpoint/new"
    csrf = Session(cookie.value or "", form_key(SECRET)).form_token(target)
    await browser.post(target, url="http://example.com/", csrf=csrf)
    assert (200 if may else 403) == browser.status
    assert (1 if may else 0) == len((await site.api.read(f"/app/{app}/endpoint"))["data"])
    token = {"authorization": f"Bearer {cookie.value}"}
    assert 401 == (await browser.client.get(f"/api/v1/app/{app}/endpoint", headers=token)).status_code


async def test_the_search_says_what_it_understood(site: Site) -> None:
    api = site.api
    app = await api.app(name="Acme")
    endpoint = await api.endpoint(app)
    msg = await api.message(app, eventId="order-77", eventType="order.paid", tags=["bulk"])
    await api.message(app, eventType="other.type")
    browser = await site.console()

    async def found(query: str) -> str:
        sent = await browser.client.get(f"/console/{ORG}/message", params={"q": query})
        return str(sent.headers.get("location") or sent.text)

    assert f"/console/{ORG}/app/{app}/message/{msg}" == await found(msg)
    assert f"/console/{ORG}/app/{app}/message/{msg}" == await found("order-77")
    assert f"/console/{ORG}/app/{app}" == await found(app)
    assert f"/console/{ORG}/app/{app}/endpoint/{endpoint}" == await found(endpoint)
    by_type = await found("type:order.paid")
    assert (True, False) == (msg in by_type, "other.type" in by_type)
    assert msg in await found("tag:bulk")
    assert msg not in await found("tag:bul")
    assert "No message has the event id" in await found("order-78")
    assert "This is no id" in await found("what is this?")
    assert "this organization has none with it" in await found("msg_" + "0" * 27)
    assert msg in await found("2037-01-01 00:00")
    assert msg not in await found("2001-01-01")


async def test_the_search_finds_nothing_of_another_organization(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    msg = await site.api.message(app, eventId="order-77")
    browser = await site.console(issue_org_token(SECRET, OTHER, site.api.clock.now()))

    for query in (msg, "order-77", app, endpoint, "type:user.signup", ""):
        page = await browser.open(f"/console/{OTHER}/message", q=query)
        assert (200, f"/console/{OTHER}/message") == (browser.status, browser.path)
        assert not [link for link in page.links if "/app/" in link]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", QueryKind.NOTHING),
        ("2026-11-30", QueryKind.TIME),
        ("2026-11-30T14:00:01.5Z", QueryKind.TIME),
        ("2026-11-30 14:00 UTC", QueryKind.TIME),
        ("2026-11-30T14:00+02:00", QueryKind.TIME),
        ("2026-13-30", QueryKind.UNKNOWN),
        ("1969-01-01", QueryKind.UNKNOWN),
        ("type: order.paid", QueryKind.TYPE),
        ("TAG:a/b", QueryKind.TAG),
        ("type:", QueryKind.UNKNOWN),
        ("msg_x", QueryKind.EVENT_ID),
        ("a b", QueryKind.UNKNOWN),
        ("x" * 300, QueryKind.UNKNOWN),
    ],
)
def test_a_query_has_one_meaning(text: str, kind: QueryKind) -> None:
    assert kind is lookup.understood(text).kind


async def test_selected_undelivered_messages_are_sent_again(site: Site) -> None:
    api = site.api
    app = await api.app(name="Acme")
    endpoint, lost = await undelivered(api, app, 3)
    browser = await site.console()
    await browser.open(f"/console/{ORG}/delivery")
    assert "3 exhausted" in browser.page.said

    await browser.submit("/delivery/resend", pair=[f"{app} {each} {endpoint}" for each in lost[:2]])

    assert "The selected messages are sent now." in browser.page.said
    assert set(lost[:2]) == await scheduled(api)
    await browser.submit("/delivery/resend", pair=[f"{app} {lost[2]} ep_unknown", "nonsense", f"app_x {lost[2]} x"])
    assert "Some of the messages cannot be sent" in browser.page.said
    await browser.submit("/delivery/resend")
    assert "No message is selected" in browser.page.said


async def scheduled(api: Api) -> set[str]:
    async with api.db.read() as read:
        return {row["msg_id"] for row in await read.rows("SELECT msg_id FROM delivery")}


async def test_everything_at_an_endpoint_is_sent_again_by_a_task(site: Site) -> None:
    api = site.api
    app = await api.app()
    endpoint, _ = await undelivered(api, app, 2)
    browser = await site.console()
    await browser.open(f"/console/{ORG}/delivery", type="user.signup")
    form = browser.page.form("/delivery/replay")
    other = await api.endpoint(app)

    for _ in range(2):  # a double click
        await browser.post(form.action, **form.values, target=f"{app} {endpoint}")
    of_one = browser.path
    await browser.post(form.action, **form.values, target=f"{app} {other}")  # the endpoints share the form

    async with api.db.read() as read:
        task, of_other = await read.rows("SELECT id, kind, args FROM task ORDER BY id")
    assert ("endpoint.bulk-replay", True) == (task["kind"], endpoint in task["args"])
    assert '"event_types":["user.signup"]' in task["args"]
    assert other in of_other["args"]
    assert [of_one, browser.path] == [f"/console/{ORG}/app/{app}/task/{each['id']}" for each in (task, of_other)]


async def test_a_page_offers_to_resend_everything_at_its_busiest_endpoints(site: Site) -> None:
    app = await site.api.app()
    numbers = {(await undelivered(site.api, app, count))[0]: count for count in (1,) * 6 + (2, 3) + (1,) * 4}
    browser = await site.console()

    page = await browser.open(f"/console/{ORG}/delivery")

    targets = [each["value"].split()[1] for tag, each in page.tags if tag == "button" and each.get("name") == "target"]
    assert [3, 2, 1, 1, 1, 1, 1, 1, 1, 1] == [numbers[each] for each in targets]
    assert "These are the 10 endpoints with the most rows on this page" in page.said


async def test_lists_say_until_when_attempts_are_counted(site: Site) -> None:
    app = await site.api.app(name="Acme")
    browser = await site.console()

    page = await browser.open(f"/console/{ORG}/app")
    assert "the first count follows within minutes" in page.said
    async with site.api.db.write() as tx:
        await nodes.advance_setting(tx, COUNTED, str(site.api.clock.now() - HOUR))
    page = await browser.open(f"/console/{ORG}/app")
    assert "last 1 h ago" in page.said
    assert f"/console/{ORG}/app/{app}" in page.links


async def test_tasks_of_an_organization_name_their_applications(site: Site) -> None:
    app = await site.api.app(name="Acme & Sons")
    endpoint = await site.api.endpoint(app)
    since = rfc3339(site.api.clock.now() - HOUR)
    task = (await site.api.made(f"/app/{app}/endpoint/{endpoint}/recover", {"since": since}))["id"]
    browser = await site.console()

    for path in ("task", f"task/{task}"):
        page = await browser.open(f"/console/{ORG}/{path}")
        assert "Acme & Sons" in page.said, path


async def test_another_organizations_messages_cannot_be_sent_again(site: Site) -> None:
    app = await site.api.app()
    endpoint, lost = await undelivered(site.api, app)
    browser = await site.console(issue_org_token(SECRET, OTHER, site.api.clock.now()))
    action = f"/console/{OTHER}/delivery"

    for form, fields in (
        ("resend", {"pair": f"{app} {lost[0]} {endpoint}"}),
        ("replay", {"target": f"{app} {endpoint}", "state": "exhausted"}),
    ):
        await browser.post(f"{action}/{form}", csrf=await token_of(browser, f"{action}/{form}"), **fields)
    assert set() == await scheduled(site.api)
    async with site.api.db.read() as read:
        assert [] == await read.rows("SELECT id FROM task")


async def token_of(browser: Browser, action: str) -> str:
    """Return the form token of an action, as a page of the session would have it."""
    [cookie] = [each for each in browser.client.cookies.jar if each.name == "tidings_console"]
    return Session(cookie.value or "", form_key(SECRET)).form_token(action)


async def test_an_event_type_is_created_changed_and_archived(site: Site) -> None:
    browser = await site.console()
    schema = '{"1": {"type": "object"}}'
    await browser.open(f"/console/{ORG}/new-event-type")

    await browser.submit("/event-type", name="order.paid", description="An order was paid", schemas=schema)
    assert "Created." in browser.page.said
    await browser.submit("/order.paid", description="Changed", schemas="[1]")
    assert (422, True) == (browser.status, "must be a JSON object" in browser.page.said)
    await browser.submit("/order.paid", description="Changed", schemas=schema, group="orders")
    assert "The changes are saved." in browser.page.said
    await browser.submit("/archive")

    found = await site.api.read("/event-type/order.paid")
    assert ("Changed", True, {"1": {"type": "object"}}, "orders") == (
        found["description"],
        found["archived"],
        found["schemas"],
        found["groupName"],
    )
    assert "order.paid" not in (await browser.open(f"/console/{ORG}/event-type")).said
    await browser.open(f"/console/{ORG}/event-type", archived=1)
    assert "order.paid" in browser.page.said
    await browser.open(f"/console/{ORG}/new-event-type")
    await browser.submit("/event-type", name="no spaces!", schemas="{")
    assert 422 == browser.status


async def test_a_key_is_shown_once_and_revoked(site: Site) -> None:
    app = await site.api.app(uid="acme")
    browser = await site.console()
    await browser.open(f"/console/{ORG}/key")
    form = browser.page.form("/key")
    fields = {**form.values, "name": "billing", "scope": "application", "app": "acme", "days": "30", "read_only": "on"}

    await browser.post(form.action, **fields)
    text = next(word for word in browser.page.said.split() if word.startswith("tidings_") and "…" not in word)
    assert 200 == (await site.api.call("GET", f"/app/{app}", token=text)).status_code
    assert 403 == (await site.api.call("POST", f"/app/{app}/endpoint", token=text, json={})).status_code
    await browser.post(form.action, **fields)
    assert (409, False) == (browser.status, text in browser.text)

    await browser.open(f"/console/{ORG}/key")
    assert text not in browser.text
    await browser.submit("/revoke")
    assert "revoked" in browser.page.said
    for wrong in ({"name": ""}, {"scope": "operator"}, {"days": "9999"}, {"scope": "application", "app": "nobody"}):
        await browser.open(f"/console/{ORG}/key")
        await browser.submit("/key", **{"name": "x", **wrong})
        assert 422 == browser.status, wrong


async def test_operators_see_all_organizations_tasks_and_settings(site: Site) -> None:
    api = site.api
    app = await api.app(name="Acme")
    endpoint = await api.endpoint(app)
    since = api.clock.now() - HOUR
    await api.made(f"/app/{app}/endpoint/{endpoint}/recover", {"since": rfc3339(since)})
    browser = await site.console((await api.key(KeyScope.OPERATOR)).text)

    page = await browser.open("/console")
    assert f"/console/{ORG}" in page.links
    assert "Organizations" in page.said
    page = await browser.open("/console/task")
    assert [link for link in page.links if link.startswith(f"/console/{ORG}") and "/task/" in link]
    page = await browser.open("/console/settings")
    assert "db_dsn" in page.said
    assert SECRET not in browser.text
    await browser.open(f"/console/{ORG}")
    assert 200 == browser.status


async def test_a_service_on_sqlite_is_its_only_node(lite_site: Site) -> None:
    browser = await lite_site.console((await lite_site.api.key(KeyScope.OPERATOR)).text)

    page = await browser.open("/console")

    assert "Healthy. The whole installation: 1 node on SQLite" in page.said


async def test_the_keys_of_operators_are_for_the_command_line_alone(lite_site: Site) -> None:
    key = await lite_site.api.key(KeyScope.OPERATOR)
    browser = await lite_site.console(key.text)

    await browser.open("/console/org_00000000000SvixManagement00/key")

    assert (403, False) == (browser.status, key.key.hint in browser.text)


async def test_pages_of_the_message_search_end_at_a_position_that_names_no_foreign_message(site: Site) -> None:
    api = site.api
    app, rows = await api.app(), range(2_400)
    times = [api.clock.now() - 8 * (len(rows) - number) for number in rows]
    messages = [ids.new(ids.MESSAGE, at) for at in times]
    async with api.db.write() as tx:
        await tx.run(
            "INSERT INTO message (id, app_id, org_id, event_type, event_id)"
            " SELECT id, :app, org, 'a.b', id FROM rows_of(:ids, :orgs) AS made(id, org)",
            app=app,
            ids=messages,
            orgs=[ORG if number % 100 == 0 else OTHER for number in rows],
        )
    browser, found, shown = await site.console(), [], []

    page = await browser.open(f"/console/{ORG}/message")
    while True:
        shown.append(str(browser.response.url))
        found += [each for each in messages if each in browser.text and each in str(page.links)]
        following = [link for link in page.links if "at=" in link]
        if not following:
            break
        page = await browser.open(following[-1])
        if str(browser.response.url) in shown:
            break

    assert sorted(messages[::100]) == sorted(set(found))  # those of the last step of a page are read again
    foreign = [each for number, each in enumerate(messages) if number % 100]
    assert not [each for each in foreign if each in " ".join(shown)]


async def test_lists_are_paged(site: Site) -> None:
    api = site.api
    async with api.db.write() as tx:
        for number in range(120):
            await tx.run(
                "INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)"
                " VALUES (:id, :org, :name, '{}', 0, 0, 0)",
                id=f"app_{number:027}",
                org=ORG,
                name=f"Customer {number}",
            )
    browser = await site.console()

    page = await browser.open(f"/console/{ORG}/app")
    assert 50 == sum("/app/app_" in link for link in page.links)
    [following] = [link for link in page.links if "at=" in link]
    page = await browser.open(following)
    assert "Customer 69" in page.said
    found = await browser.open(f"/console/{ORG}/app", q="customer")
    assert 50 == sum("/app/app_" in link for link in found.links)
