# SPDX-License-Identifier: MIT
"""Chats in the console: add, list, test and remove; whose they are, and that their URLs are not shown."""

import json
from typing import Any

import pytest

from api.kit import ORG, SECRET
from portal.kit import Site
from tidings.core import chats, operational
from tidings.core.access import issue_org_token
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.model.api_key import KeyScope

HOOK = "https://hooks.slack.com/services/T0/B0/secret"
PATH = f"/console/{ORG}/notification"
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*191 }}"


async def rows(site: Site, sql: str) -> list[dict[str, Any]]:
    async with site.api.db.read() as read:
        return [dict(row) for row in await read.rows(sql)]


@pytest.mark.parametrize("kind", list(chats.KINDS))
async def test_a_chat_is_an_operational_endpoint_for_changes_of_state(site: Site, kind: str) -> None:
    browser = await site.console()
    assert "No chat yet" in (await browser.open(PATH)).said

    page = await browser.submit("/notification", kind=kind, url=HOOK, description="#alerts")

    assert "The chat is added." in page.said
    assert chats.KINDS[kind] in page.said
    assert "hooks.slack.com/…" in page.said
    assert "#alerts" in page.said
    assert "secret" not in browser.text
    [endpoint] = await rows(
        site, "SELECT org_id, url, event_types, throttle_rate, is_transformed FROM endpoint WHERE deleted_at IS NULL"
    )
    assert (MANAGEMENT_ORG, HOOK, 1, 1) == (
        endpoint["org_id"],
        endpoint["url"],
        endpoint["throttle_rate"],
        endpoint["is_transformed"],
    )
    assert sorted(operational.STATE_CHANGES) == sorted(json.loads(endpoint["event_types"]))
    [script] = await rows(site, "SELECT code, enabled FROM transformation")
    assert "handler" in script["code"]
    assert 1 == script["enabled"]


async def test_a_test_is_a_message_to_that_chat_alone(site: Site) -> None:
    browser = await site.console()
    await browser.open(PATH)
    await browser.submit("/notification", url=HOOK)
    await browser.submit("/notification", url=f"{HOOK}/other")
    [first, _] = await rows(site, "SELECT id FROM endpoint ORDER BY id")

    page = await browser.submit(f"/{first['id']}/test")

    assert "The test is on its way." in page.said
    [delivery] = await rows(site, "SELECT endpoint_id, event_type, payload FROM delivery JOIN message ON id = msg_id")
    assert (first["id"], "endpoint.failing") == (delivery["endpoint_id"], delivery["event_type"])
    assert "test" == json.loads(bytes(delivery["payload"]))["data"]["endpointUid"]


async def test_a_removed_chat_gets_no_more(site: Site) -> None:
    browser = await site.console()
    await browser.open(PATH)
    await browser.submit("/notification", url=HOOK)

    page = await browser.submit("/remove")

    assert "The chat is removed." in page.said
    assert "No chat yet" in page.said
    assert [] == await rows(site, "SELECT id FROM endpoint WHERE deleted_at IS NULL")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"url": "nonsense"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "ftp://x/"}, "url"),
        ({"url": HOOK, "kind": "fax"}, "kind"),
    ],
)
async def test_a_chat_that_cannot_be_notified_is_refused(site: Site, fields: dict[str, str], fault: str) -> None:
    browser = await site.console()
    await browser.open(PATH)

    await browser.submit("/notification", **fields)

    assert 422 == browser.status
    assert f'id="{fault}-fault"' in browser.text
    assert [] == await rows(site, "SELECT id FROM endpoint")


async def test_hostile_texts_stay_texts(site: Site) -> None:
    browser = await site.console()
    await browser.open(PATH)

    await browser.submit("/notification", url=HOOK, description=HOSTILE)

    assert "<script>alert" not in browser.text
    assert "1337" not in browser.text
    assert HOSTILE in browser.page.said


async def test_other_operational_endpoints_are_no_chats(site: Site) -> None:
    made = await site.api.made("/operational-webhook/endpoint", {"url": HOOK})
    browser = await site.console()
    await browser.open(PATH)
    await browser.submit("/notification", url=HOOK)
    [chat] = await rows(site, f"SELECT id FROM endpoint WHERE id <> '{made['id']}'")
    form = browser.page.form(f"/{chat['id']}/test")

    page = await browser.open(PATH)
    assert 1 == page.said.count("hooks.slack.com/…")
    await browser.post(form.action.replace(chat["id"], made["id"]), **form.values)
    assert browser.status in (403, 404)


async def test_the_chats_of_an_organization_are_its_own(site: Site) -> None:
    browser = await site.console()
    await browser.open(PATH)
    await browser.submit("/notification", url=HOOK)
    [chat] = await rows(site, "SELECT id FROM endpoint")

    stranger = OrgId("org_00000000000000000000000000F")
    other = await site.console(issue_org_token(SECRET, stranger, site.api.clock.now()))
    await other.open(f"/console/{stranger}/notification")
    assert "No chat yet" in other.page.said
    form = other.page.form("/notification")
    await other.post(f"/console/{stranger}/notification/{chat['id']}/remove", **form.values)
    assert other.status in (403, 404)
    assert 1 == len(await rows(site, "SELECT id FROM endpoint WHERE deleted_at IS NULL"))


async def test_a_read_only_session_sees_chats_and_changes_none(site: Site) -> None:
    browser = await site.console()
    await browser.open(PATH)
    await browser.submit("/notification", url=HOOK)
    key = await site.api.key(read_only=True)

    reader = await site.console(key.text)
    page = await reader.open(PATH)

    assert "hooks.slack.com/…" in page.said
    assert not [form for form in page.forms if "/notification" in form.action]


async def test_there_are_no_chats_about_the_management_organization(site: Site) -> None:
    operator = await site.console((await site.api.key(KeyScope.OPERATOR)).text)

    await operator.open(f"/console/{MANAGEMENT_ORG}/notification")

    assert operator.status in (403, 404)
