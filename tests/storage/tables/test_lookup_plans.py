# SPDX-License-Identifier: MIT
"""The searches of the console read an index or a bounded number of rows, never a whole table."""

import re

import pytest

from storage.lists.test_list_plans import Listening
from tasks.kit import ORG, explained
from tidings import ids
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import lookup

NOW = 1_790_000_000_000
WHOLE = {
    Dialect.SQLITE: r"SCAN (message|application|endpoint|event_id)\b(?! USING (COVERING )?INDEX)",
    Dialect.POSTGRESQL: r"Seq Scan on (message|application|event_id)\w* .*rows=\d{3,}",
}
_APP = (
    "INSERT INTO application (id, org_id, uid, name, metadata, created_at, updated_at, routed_at)"
    " SELECT id, org, uid, uid, '{}', 0, 0, 0 FROM rows_of(:ids, :orgs, :uids) AS made(id, org, uid)"
)
_MESSAGE = (
    "INSERT INTO message (id, app_id, org_id, event_type, event_id, tags)"
    " SELECT id, app, org, 'a.b', id, '[\"bulk\"]' FROM rows_of(:ids, :apps, :orgs) AS made(id, app, org)"
)
_EVENT_ID = (
    "INSERT INTO event_id (app_id, event_id, msg_id) SELECT app, id, id FROM rows_of(:ids, :apps) AS made(id, app)"
)


@pytest.fixture
async def filled(db: Database) -> Database:
    """Give a database with 1,200 applications of three organizations, and a message of each."""
    apps = [ids.new(ids.APP, NOW + 4 * n) for n in range(1_200)]
    messages = [ids.new(ids.MESSAGE, NOW + 4 * n) for n in range(1_200)]
    orgs = [(ORG, "org_a", "org_b")[n % 3] for n in range(1_200)]
    async with db.write() as tx:
        await tx.run(_APP, ids=apps, orgs=orgs, uids=[f"uid-{n}" for n in range(1_200)])
        await tx.run(_MESSAGE, ids=messages, apps=apps, orgs=orgs)
        await tx.run(_EVENT_ID, ids=messages, apps=apps)
    async with db.write() as tx:
        await tx.run("ANALYZE")
    return db


async def test_no_search_reads_a_whole_table(filled: Database) -> None:
    async with filled.read() as read:
        listening = Listening(read)
        assert [ORG, "org_a", "org_b"] == sorted(await lookup.organizations(listening, after="", limit=9))
        assert 11 == len(await lookup.apps_by_uid(listening, ORG, "uid-3", limit=11))
        assert 5 == len(await lookup.apps_by_name(listening, ORG, "UID", scan=50, limit=5))
        newest = await lookup.newest_messages(
            listening, ORG, below="~", event_type="a.b", tag="bulk", scan=30, limit=50
        )
        assert (10, True) == (len(newest.messages), newest.last is not None)
        none = await lookup.newest_messages(listening, ORG, below="~", event_type="", tag="bul", scan=30, limit=50)
        assert () == tuple(none.messages)
        message = newest.messages[0]
        assert message == await lookup.message(listening, ORG, message.id)
        assert None is await lookup.message(listening, ids.OrgId("org_a"), message.id)
        by_event = await lookup.messages_by_event_id(listening, ORG, message.id, scan=100, limit=5)
        assert [(message.app_id, message.id)] == by_event
        assert [message.app_id] == list(await lookup.app_names(listening, ORG, [message.app_id]))

    for sql, values in listening.asked:
        plan = await explained(filled, sql, **values)
        assert not re.search(WHOLE[filled.dialect], plan), plan


@pytest.mark.parametrize(("limit", "scan"), [(7, 1_000), (50, 30), (3, 10)])
async def test_pages_of_messages_have_each_one_once_and_name_no_other_organization(
    filled: Database, limit: int, scan: int
) -> None:
    found: list[str] = []
    below, positions = "~", set()
    async with filled.read() as read:
        own = {row["id"] for row in await read.rows("SELECT id FROM message WHERE org_id = :org", org=ORG)}
        every = {row["id"] for row in await read.rows("SELECT id FROM message")}
        for _ in range(len(every)):
            page = await lookup.newest_messages(read, ORG, below=below, event_type="", tag="", scan=scan, limit=limit)
            found += [each.id for each in page.messages]
            if page.last is None:
                break
            assert page.last < below  # each page makes progress
            below = page.last
            positions.add(below)

    # The messages of the step at which a page ends are read again.
    assert sorted(own, reverse=True) == list(dict.fromkeys(found))
    assert len(found) - len(own) <= len(positions)
    assert not positions & (every - own)
