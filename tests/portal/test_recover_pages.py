# SPDX-License-Identifier: MIT
"""The wizard that resends messages: each step by its address, wrong input in words, and one task for each form."""

from dataclasses import replace
from typing import Any, Final

import pytest

from api.kit import ORG, Api
from api.task_kit import failing, stored
from portal.kit import Browser, Page, Site
from tidings.clock import DAY, HOUR, MINUTE
from tidings.model.task import State
from tidings.portal import recover_form
from tidings.portal.formats import local_time
from tidings.portal.recover_form import RATE_MAX
from tidings.portal.request import Form

NOW: Final = 1_700_000_000_000


async def test_from_the_form_to_the_task_in_three_steps(site: Site) -> None:
    app, endpoint, messages = await failing(site.api, 3)
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/endpoint/{endpoint}/recover")
    assert (endpoint, "failed", "hour") == tuple(_values(page)[name] for name in ("endpoint", "what", "period"))
    page = await _check(browser, app, **{**_values(page), "rate": "50"})
    assert (200, True) == (browser.status, "3 messages would be sent" in page.said), page.said
    assert "at 50 per second" in page.said
    assert {f"/portal/{app}/message/{each}" for each in messages} <= set(page.links)
    assert 0 == await _tasks(site.api)
    page = await browser.submit("/recover")

    assert (200, 1) == (browser.status, await _tasks(site.api))
    assert f"/portal/{app}/task/qtask_" in browser.response.url.path
    assert "Resend failed messages of an endpoint" in page.said
    assert "at most 50 per second" in page.said


async def test_a_form_that_is_sent_twice_starts_one_task(site: Site) -> None:
    app, endpoint, _ = await failing(site.api, 1)
    browser = await site.portal(app)
    page = await _check(browser, app, endpoint=endpoint)
    form = page.form("/recover")

    await browser.post(form.action, **form.values)
    first = browser.path
    await browser.post(form.action, **form.values)

    assert (first, 1) == (browser.path, await _tasks(site.api))


@pytest.mark.parametrize(
    ("what", "kind"),
    [("failed", "endpoint.recover"), ("missing", "endpoint.replay"), ("selected", "endpoint.bulk-replay")],
)
async def test_each_choice_starts_its_kind_of_task(site: Site, what: str, kind: str) -> None:
    app, endpoint, _ = await failing(site.api, 2)
    if what == "missing":
        endpoint = await site.api.endpoint(app)
    browser = await site.portal(app)

    page = await _check(browser, app, endpoint=endpoint, what=what)
    assert "2 messages would be sent" in page.said
    page = await browser.submit("/recover")

    assert kind in page.said


async def test_the_filters_of_selected_messages_count_and_are_shown(site: Site) -> None:
    app, endpoint, _ = await failing(site.api, 2)
    browser = await site.portal(app)
    chosen = {"endpoint": endpoint, "what": "selected", "event_types": "user.signup", "status": "2"}

    page = await _check(browser, app, **chosen, code_class="500")
    assert "2 messages would be sent" in page.said
    page = await browser.submit("/recover")
    assert "user.signup" in page.said
    page = await _check(browser, app, **{**chosen, "event_types": "other.type"})

    assert "There is nothing to send" in page.said
    assert [] == [form for form in page.forms if form.action.endswith("/recover")]


async def test_an_outage_is_the_period_of_a_failing_endpoint(site: Site) -> None:
    app, endpoint, _ = await failing(site.api, 1)
    began = site.api.clock.now()
    await _set_failing(site.api, endpoint, began)
    site.api.clock.advance(3 * HOUR)
    browser = await site.portal(app)

    page = await browser.open(f"/portal/{app}/recover", endpoint=endpoint)
    assert "outage" == _values(page)["period"]
    page = await _check(browser, app, **_values(page))

    assert "1 message would be sent" in page.said
    assert local_time(began - MINUTE) == page.form("/recover").values["since"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"endpoint": ""}, "Choose the endpoint that missed messages."),
        ({"endpoint": "ep_none"}, "This endpoint does not exist."),
        ({"endpoint": "<b>"}, "This endpoint does not exist."),
        ({"rate": "0"}, "Enter a whole number between 1 and 100,000"),
        ({"period": "outage"}, "This endpoint has no outage at present."),
        ({"period": "custom"}, "Enter when the period begins."),
        ({"period": "custom", "since": "2023-11-14T22:00", "until": "2023-11-14T21:00"}, "must end after it begins"),
        ({"period": "custom", "since": "2023-10-14T22:00"}, "at most 14 days"),
        ({"period": "custom", "since": "2033-10-14T22:00"}, "must not begin in the future"),
        ({"period": "custom", "since": "yesterday"}, "Enter a date and a time"),
        ({"what": "selected", "event_types": "a <b>"}, "is no event type"),
    ],
)
async def test_wrong_input_is_said_beside_its_field(lite_site: Site, given: dict[str, str], words: str) -> None:
    app, endpoint, _ = await failing(lite_site.api, 1)
    await lite_site.api.endpoint(app)
    browser = await lite_site.portal(app)

    page = await _check(browser, app, **{"endpoint": endpoint, **given})

    assert (422, True) == (browser.status, words in page.said), page.said
    assert "<b>" not in browser.text
    assert given.items() <= {**_values(page), "endpoint": given.get("endpoint", "")}.items()


async def test_what_changed_since_the_check_is_refused_in_words(lite_site: Site) -> None:
    app, endpoint, _ = await failing(lite_site.api, 1)
    browser = await lite_site.portal(app)
    await _check(browser, app, endpoint=endpoint)

    await lite_site.api.call("PATCH", f"/app/{app}/endpoint/{endpoint}", json={"disabled": True})
    page = await browser.submit("/recover")

    assert (422, True) == (browser.status, "This endpoint is disabled" in page.said)
    assert 0 == await _tasks(lite_site.api)


async def test_too_many_tasks_are_refused_in_words(lite_site: Site) -> None:
    app, endpoint, _ = await failing(lite_site.api, 1)
    await _fill(lite_site.api, app)
    browser = await lite_site.portal(app)

    page = await _check(browser, app, endpoint=endpoint)

    assert (422, True) == (browser.status, "1000 background tasks have not ended" in page.said), page.said


async def test_the_endpoint_of_another_application_does_not_exist(site: Site) -> None:
    app, (_, foreign, _) = await site.api.app(), await failing(site.api, 1)
    await site.api.endpoint(app)
    browser = await site.portal(app)

    for path in (f"recover/check?endpoint={foreign}", f"recover?endpoint={foreign}", f"endpoint/{foreign}/recover"):
        page = await browser.open(f"/portal/{app}/{path}")
        assert foreign not in "".join(page.links)
        assert "example.com/in" not in page.form("/recover/check").values["endpoint"]
    await _check(browser, app, endpoint=foreign)
    assert 422 == browser.status


async def test_the_wizard_needs_the_capability(lite_site: Site) -> None:
    app, endpoint, _ = await failing(lite_site.api, 1)
    portal = await lite_site.portal(app, capabilities=["ViewBase", "ManageEndpoint"])
    console = await lite_site.console((await lite_site.api.key(read_only=True)).text)

    for browser, prefix in ((portal, f"/portal/{app}"), (console, f"/console/{ORG}/app/{app}")):
        for path in ("recover", f"recover/check?endpoint={endpoint}", f"endpoint/{endpoint}/recover?x=1"):
            await browser.open(f"{prefix}/{path}")
            assert 403 == browser.status, path
        await browser.post(f"{prefix}/recover", csrf="x", endpoint=endpoint)
        assert 403 == browser.status


async def test_a_form_of_an_earlier_session_starts_nothing(lite_site: Site) -> None:
    app, endpoint, _ = await failing(lite_site.api, 1)
    form = (await _check(await lite_site.portal(app), app, endpoint=endpoint)).form("/recover")
    lite_site.api.clock.advance(HOUR)
    browser = await lite_site.portal(app)

    page = await browser.post(form.action, **form.values)

    assert (403, True) == (browser.status, "out of date" in page.said)
    assert 0 == await _tasks(lite_site.api)


async def test_an_application_without_endpoints_gets_a_hint(lite_site: Site) -> None:
    app = await lite_site.api.app()

    page = await (browser := await lite_site.portal(app)).open(f"/portal/{app}/recover")

    assert (200, True) == (browser.status, "No endpoints yet" in page.said)


async def test_run_again_leads_to_the_check_of_what_failed(site: Site) -> None:
    app, endpoint, _ = await failing(site.api, 2)
    browser = await site.portal(app)
    await _check(browser, app, endpoint=endpoint)
    await browser.submit("/recover")
    task = browser.path.rpartition("/")[2]
    await site.api.post(f"/background-task/{task}/cancel")

    page = await browser.open(browser.path)
    page = await browser.open(next(link for link in page.links if "/recover/check?" in link))

    assert (200, True) == (browser.status, "2 messages would be sent" in page.said), page.said


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"rate": "-1"}, "rate"),
        ({"rate": "1e3"}, "rate"),
        ({"rate": "٣"}, "rate"),
        ({"rate": str(RATE_MAX + 1)}, "rate"),
        ({"period": "custom", "since": "9999-12-31T23:59"}, "since"),
        ({"period": "custom", "since": "0000-00-00T00:00"}, "since"),
        ({"period": "custom", "since": "2023-11-14T22:00", "until": "x"}, "until"),
        ({"period": "hour", "since": "2023-11-14T22:00"}, "period"),
        ({"what": "failed", "tag": "x"}, "what"),
        ({"what": "selected", "tag": "ä"}, "tag"),
        ({"what": "selected", "channel": "ä"}, "channel"),
        ({"what": "selected", "event_types": " ".join(f"a{n}" for n in range(51))}, "event_types"),
    ],
)
def test_the_form_names_the_field_of_a_fault(given: dict[str, str], field: str) -> None:
    _, faults = recover_form.read(_form(**given), NOW, None)

    assert [field] == list(faults)


def test_the_steps_after_the_form_carry_a_fixed_period() -> None:
    choice, faults = recover_form.read(_form(period="day", rate="7"), NOW, None)
    again, later = recover_form.read(_form(**choice.fields), NOW + HOUR, None)

    assert ({}, {}) == (faults, later)
    assert NOW - DAY == choice.since_ms == again.since_ms
    assert choice.request == replace(again.request, endpoint_ref=choice.endpoint)


def _form(**given: str) -> Form:
    return Form({name: [value] for name, value in given.items()})


def _values(page: Page) -> dict[str, Any]:
    return page.form("/recover/check").values


async def _check(browser: Browser, app: str, **given: Any) -> Page:
    return await browser.open(f"/portal/{app}/recover/check", **given)


async def _tasks(api: Api) -> int:
    return len((await api.read("/background-task"))["data"])


async def _set_failing(api: Api, endpoint: str, since: int) -> None:
    async with api.db.write() as tx:
        await tx.run("UPDATE endpoint SET failing_since = :since WHERE id = :id", since=since, id=endpoint)


async def _fill(api: Api, app: str) -> None:
    """Store as many tasks as an application may have: copies of one."""
    task = await stored(api, State.PAUSED, app=app)
    columns = (
        "org_id, app_id, tenant, kind, args, state, wire_status, fair_round, ready_at, size, created_at, updated_at"
    )
    async with api.db.write() as tx:
        await tx.run("UPDATE task SET tenant = :app WHERE id = :id", app=app, id=task)
        for number in range(999):
            await tx.run(
                f"INSERT INTO task (id, {columns}) SELECT :new, {columns} FROM task WHERE id = :id",
                new=f"{task[:-4]}{number:04}",
                id=task,
            )
