# SPDX-License-Identifier: MIT
"""The pages of tasks: what they show in each state, who sees what, commands, items and the file."""

import csv
import io
from typing import Final

import pytest

from api.kit import ORG, SECRET, Api
from api.task_kit import commanded, failing, recovering, stored
from portal.kit import Page, Site
from tasks.kit import until
from tidings.core.access import issue_org_token
from tidings.core.changes import Subject, SubjectKind, versions
from tidings.ids import OrgId
from tidings.model.api_key import KeyScope
from tidings.model.task import State
from tidings.model.task_item import ItemOutcome
from tidings.portal.task_report import encoded
from tidings.storage.tables import task_items

OTHER: Final = OrgId("org_00000000000000000000000000F")
HOSTILE: Final = "<script>alert(1)</script>\"'&"
WORDS: Final = {
    State.QUEUED: "Queued",
    State.RUNNING: "Running",
    State.PAUSED: "Paused",
    State.SUCCEEDED: "Succeeded",
    State.FAILED: "Failed",
    State.CANCELLED: "Canceled",
}


async def test_the_list_and_each_page_say_the_state_in_words(site: Site) -> None:
    app = await site.api.app()
    made = {state: await stored(site.api, state, app=app) for state in State}
    browser = await site.portal(app)

    listed = await browser.open(f"/portal/{app}/task")

    for state, task in made.items():
        assert f"/portal/{app}/task/{task}" in listed.links
        page = await browser.open(f"/portal/{app}/task/{task}")
        assert (200, True) == (browser.status, WORDS[state] in page.said), state
        assert [state.value] == [given["data-state"] for _, given in page.tags if "data-state" in given]


async def test_the_list_has_filters_in_its_address(lite_site: Site) -> None:
    app = await lite_site.api.app()
    made = {state: await stored(lite_site.api, state, app=app) for state in (State.PAUSED, State.SUCCEEDED)}
    browser = await lite_site.portal(app)

    for query, shown in (
        ({"status": "running"}, {State.PAUSED}),
        ({"status": "finished"}, {State.SUCCEEDED}),
        ({"kind": "endpoint.replay"}, set()),
        ({"status": "nonsense", "kind": "'; DROP TABLE task"}, set(made)),
    ):
        page = await browser.open(f"/portal/{app}/task", **query)
        assert shown == {state for state, task in made.items() if f"/portal/{app}/task/{task}" in page.links}, query


async def test_long_lists_have_pages(lite_site: Site) -> None:
    app = await lite_site.api.app()
    made = [await stored(lite_site.api, State.SUCCEEDED, app=app) for _ in range(52)]
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/task")
    page = await browser.open(next(link for link in page.links if "at=" in link))

    assert [f"/portal/{app}/task/{task}" for task in (made[1], made[0])] == [
        link for link in page.links if "/task/qtask" in link
    ]


async def test_nobody_sees_the_tasks_of_another_application_or_organization(site: Site) -> None:
    mine, other = await site.api.app(), await site.api.app()
    task = await stored(site.api, State.PAUSED, app=other)
    of_all = await stored(site.api, State.PAUSED, kind="application.stats")
    portal = await site.portal(mine)
    foreign = await site.console(issue_org_token(SECRET, OTHER, site.api.clock.now()))

    for browser, prefix in (
        (portal, f"/portal/{mine}"),
        (foreign, f"/console/{OTHER}"),
        (await site.console(), f"/console/{ORG}/app/{mine}"),
    ):
        for each in (task, of_all):
            for path in ("", "/live", "/items.csv"):
                await browser.open(f"{prefix}/task/{each}{path}")
                assert 404 == browser.status, (prefix, path)
        page = await browser.open(f"{prefix}/task")
        assert task not in "".join(page.links)
    token = portal_token(await portal.open(f"/portal/{mine}"))
    await portal.post(f"/portal/{mine}/task/{task}/cancel", csrf=token)
    assert portal.status in (403, 404)


def portal_token(page: Page) -> str:
    """Return the token of some form."""
    return next((form.values["csrf"] for form in page.forms if "csrf" in form.values), "")


@pytest.mark.parametrize("ref", ["qtask_nobody", "x", "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2", "%00"])
async def test_a_task_that_does_not_exist_is_a_clear_page(lite_site: Site, ref: str) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)

    page = await browser.open(f"/portal/{app}/task/{ref}")

    assert (404, True) == (browser.status, "This page does not exist" in page.said)


async def test_the_console_shows_tasks_of_an_organization_and_operators_those_of_all(site: Site) -> None:
    app = await site.api.app()
    task = await stored(site.api, State.PAUSED, app=app)
    console = await site.console()
    operator = await site.console((await site.api.key(KeyScope.OPERATOR)).text)

    own = await console.open(f"/console/{ORG}/task")
    of_app = await console.open(f"/console/{ORG}/app/{app}/task")
    of_all = await operator.open("/console/task")

    assert f"/console/{ORG}/task/{task}" in own.links
    assert f"/console/{ORG}/app/{app}/task/{task}" in of_app.links
    assert f"/console/{ORG}/task/{task}" in of_all.links
    page = await operator.open(f"/console/{ORG}/task/{task}")
    assert f"/console/{ORG}/app/{app}" in page.links
    await console.open("/console/task")
    assert 403 == console.status


async def test_commands_change_the_state_and_say_so(site: Site) -> None:
    app, endpoint, _ = await failing(site.api, 1)
    task = (await commanded(site.api, app, endpoint))["id"]
    browser = await site.portal(app)
    await browser.open(f"/portal/{app}/task/{task}")

    for command, word in (("pause", "Paused"), ("resume", "Queued"), ("cancel", "Canceled")):
        page = await browser.submit(f"/{command}")
        assert (200, True) == (browser.status, word in page.said), page.said


async def test_a_command_on_a_stale_page_is_a_clear_page(lite_site: Site) -> None:
    app = await lite_site.api.app()
    task = await stored(lite_site.api, State.SUCCEEDED, app=app)
    browser = await lite_site.portal(app)
    await browser.open(f"/portal/{app}/task/{task}")

    page = await browser.submit("/pause")

    assert (409, True) == (browser.status, "Cannot pause a task that has already succeeded." in page.said)


async def test_a_command_needs_its_token(lite_site: Site) -> None:
    app = await lite_site.api.app()
    task = await stored(lite_site.api, State.PAUSED, app=app)
    browser = await lite_site.portal(app)
    page = await browser.open(f"/portal/{app}/task/{task}")

    await browser.post(f"/portal/{app}/task/{task}/cancel", csrf=page.form("/resume").values["csrf"])

    assert 403 == browser.status
    assert "paused" == (await lite_site.api.read(f"/background-task/{task}"))["x"]["state"]


async def test_without_the_capability_commands_are_absent_and_refused(site: Site) -> None:
    app = await site.api.app()
    task = await stored(site.api, State.PAUSED, app=app)
    browser = await site.portal(app, capabilities=["ViewBase"])

    page = await browser.open(f"/portal/{app}/task/{task}")

    assert [] == [form for form in page.forms if "/task/" in form.action]
    for command in ("pause", "resume", "cancel", "retry"):
        await browser.post(f"/portal/{app}/task/{task}/{command}", csrf="x")
        assert 403 == browser.status
    assert "recover" not in "".join((await browser.open(f"/portal/{app}/task")).links)


async def test_a_read_only_key_sees_tasks_and_changes_none(lite_site: Site) -> None:
    app = await lite_site.api.app()
    task = await stored(lite_site.api, State.PAUSED, app=app)
    browser = await lite_site.console((await lite_site.api.key(read_only=True)).text)

    page = await browser.open(f"/console/{ORG}/task/{task}")

    assert (200, []) == (browser.status, [form for form in page.forms if "/task/" in form.action])
    await browser.post(f"/console/{ORG}/task/{task}/cancel", csrf="x")
    assert 403 == browser.status


async def test_a_task_shows_what_became_of_its_messages(site: Site) -> None:
    app, endpoint, messages = await failing(site.api, 3)
    task = (await commanded(site.api, app, endpoint))["id"]
    async with recovering(site.api):
        await until(site.api.db, task, State.SUCCEEDED)
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/task/{task}")

    assert "3 of 3 checked" in page.said
    assert "3 scheduled." in page.said
    assert {f"/portal/{app}/message/{each}" for each in messages} <= set(page.links)
    assert any("/recover/check?" in link for link in page.links)
    page = await browser.open(f"/portal/{app}/task/{task}", outcome="delivered")
    assert "No item has this outcome." in page.said


async def test_a_delivery_of_a_task_is_a_change_of_it(site: Site) -> None:
    app, endpoint, messages = await failing(site.api, 1)
    task = (await commanded(site.api, app, endpoint))["id"]
    async with recovering(site.api):
        await until(site.api.db, task, State.SUCCEEDED)
    subject = Subject(SubjectKind.TASK, task)
    before = await versions(site.api.db, [subject])

    async with site.api.db.write() as tx:
        await tx.run("DELETE FROM delivery WHERE msg_id = :msg", msg=messages[0])

    assert before != await versions(site.api.db, [subject])


async def test_hostile_texts_in_items_are_inert(lite_site: Site) -> None:
    app = await lite_site.api.app()
    task = await stored(lite_site.api, State.SUCCEEDED, app=app)
    await _add(lite_site.api, task, "=cmd", ItemOutcome.SKIPPED, HOSTILE)
    await _add(lite_site.api, task, "b", ItemOutcome.CREATED, '{"<b>": "<i>"}')
    browser = await lite_site.portal(app)

    await browser.open(f"/portal/{app}/task/{task}")

    assert "<script>alert" not in browser.text
    assert "<i>" not in browser.text


async def test_the_file_has_every_item_and_no_formula(site: Site) -> None:
    app = await site.api.app()
    task = await stored(site.api, State.SUCCEEDED, app=app)
    for number in range(3):
        await _add(site.api, task, f"={number}", ItemOutcome.SKIPPED, "+1\n2")
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/task/{task}/items.csv", outcome="skipped")

    assert f'attachment; filename="{task}-skipped.csv"' == browser.response.headers["content-disposition"]
    head, *rows = csv.reader(io.StringIO(browser.text))
    assert (["item", "outcome"], 3) == ([head[0], head[3]], len(rows))
    assert ["'=0", "'+1\n2"] == [rows[0][0], rows[0][-1]]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_spreadsheet_computes_no_cell(text: str) -> None:
    assert [[f"'{text}"]] == list(csv.reader(io.StringIO(encoded([[text]]).decode(), newline="")))


async def test_a_live_part_has_neither_forms_nor_tokens_and_says_when_it_is_over(site: Site) -> None:
    app = await site.api.app()
    task = await stored(site.api, State.FAILED, app=app)
    browser = await site.portal(app)

    await browser.open(f"/portal/{app}/task/{task}/live")

    assert "text/event-stream; charset=utf-8" == browser.response.headers["content-type"]
    assert 'data-state="failed"' in browser.text
    assert browser.text.endswith("event: over\ndata: over\n\n")
    assert ("csrf" not in browser.text, "<form" not in browser.text) == (True, True)


async def test_the_page_of_a_task_that_has_ended_opens_no_stream(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = await lite_site.portal(app)
    streams: dict[State, int] = {}

    for state in (State.PAUSED, State.SUCCEEDED):
        page = await browser.open(f"/portal/{app}/task/{await stored(lite_site.api, state, app=app)}")
        streams[state] = len([given for _, given in page.tags if "hx-sse:connect" in given])

    assert {State.PAUSED: 1, State.SUCCEEDED: 0} == streams


async def test_sessions_share_a_live_part_only_with_the_same_rights(lite_site: Site) -> None:
    app = await lite_site.api.app()
    task = await stored(lite_site.api, State.PAUSED, app=app)
    live = lite_site.live
    browsers = [await lite_site.portal(app), await lite_site.portal(app)]
    browsers.append(await lite_site.portal(app, capabilities=["ViewBase"]))
    streams = [await lite_site.stream(each, f"/portal/{app}/task/{task}/live") for each in browsers]

    assert (3, 2) == (live.readers, len(live.topics))
    await lite_site.api.post(f"/auth/app/{app}/expire-all", json={})
    live.recheck_access()
    for stream in streams:
        assert "not updated any more" in await stream.rest()
    assert 0 == live.readers


async def test_a_page_reads_itself_again_after_a_change_of_its_application(site: Site) -> None:
    app = await site.api.app()
    browser = await site.portal(app)
    for path in ("", "/endpoint", "/message", "/attempt"):
        page = await browser.open(f"/portal/{app}{path}")
        [stream] = [given["hx-sse:connect"] for _, given in page.tags if given.get("id") == "changes"]
        [main] = [given for tag, given in page.tags if tag == "main"]
        assert (f"/portal/{app}{path}", "changed from:#changes throttle:3s") == (main["hx-get"], main["hx-trigger"])
    await site.api.message(app)

    opened = await site.stream(browser, stream, first="event: changed\ndata: changed\n\n")
    await opened.close()

    assert 0 == site.live.readers


async def _add(api: Api, task: str, key: str, outcome: ItemOutcome, data: str) -> None:
    async with api.db.write() as tx:
        await task_items.add(tx, [(task, key, outcome.value, data)])
