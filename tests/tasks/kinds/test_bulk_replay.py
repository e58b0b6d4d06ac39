# SPDX-License-Identifier: MIT
"""Bulk replays resend each message that was sent before and matches every filter, once."""

from typing import Any

import pytest

from tasks.kinds.case import Case, effects, of_endpoint, of_messages, sent
from tasks.kinds.replays import replayed, shaped
from tasks.kit import rows, run_sql
from tasks.seed_data import DELIVERED, FAILED, lease_all, sent_again
from tasks.world import NOW, World, at
from tidings.clock import HOUR
from tidings.model.attempt import MessageStatus, StatusCodeClass
from tidings.model.message import MessageFilter
from tidings.model.page import Order
from tidings.model.resending import ReplayFilters
from tidings.model.undelivered import UndeliveredFilter, UndeliveredState
from tidings.storage.lists import UndeliveredScope, UndeliveredWindow, page_of_undelivered
from tidings.tasks.kinds import bulk_replay

CASE = Case(
    of_messages(of_endpoint(bulk_replay, ReplayFilters()), FAILED),
    effects("sent"),
    sent,
    is_keyed=False,
    many=500,
    rows=5,
)


async def test_every_sent_message_is_resent(world: World) -> None:
    seed = world.seed
    sent = [
        seed.message(at(9), (at(9), DELIVERED)),
        seed.message(at(8), (at(8), FAILED)),
        seed.message(at(7), (at(7), FAILED), (at(6), DELIVERED)),
    ]
    seed.message(at(5))
    seed.message(at(12), (at(1), DELIVERED))
    purged = seed.message(at(4), (at(4), DELIVERED), payload=None)
    await seed.write(world.db)

    task = await replayed(world, bulk_replay)

    assert sorted(sent) == await sent_again(world.db, task.id)
    assert {"messagesSent": 3} == await world.result(task)
    assert [(purged, "payload_expired")] == await world.skipped(task)


def _filters(**more: Any) -> ReplayFilters:
    messages = {name: more.pop(name) for name in ("event_types", "channel", "tag") if name in more}
    return ReplayFilters(messages=MessageFilter(**messages), **more)


FILTERS = {
    "nothing": ({}, "abcdef"),
    "event types": ({"event_types": ("order.sent", "order.lost")}, "b"),
    "channel": ({"channel": "blue"}, "cd"),
    "a part of a channel's name": ({"channel": "blu"}, ""),
    "tag": ({"tag": "vip"}, "d"),
    "success": ({"status": MessageStatus.SUCCESS}, "ac"),
    "fail": ({"status": MessageStatus.FAIL}, "bdf"),
    "sending": ({"status": MessageStatus.SENDING}, "e"),
    "pending": ({"status": MessageStatus.PENDING}, ""),
    "canceled": ({"status": MessageStatus.CANCELED}, ""),
    "2xx": ({"code_class": StatusCodeClass.CODE_2XX}, "ac"),
    "5xx": ({"code_class": StatusCodeClass.CODE_5XX}, "bde"),
    "no answer": ({"code_class": StatusCodeClass.CODE_NONE}, "f"),
    "all at once": (
        {
            "event_types": ("order.paid",),
            "channel": "blue",
            "tag": "vip",
            "status": MessageStatus.FAIL,
            "code_class": StatusCodeClass.CODE_5XX,
        },
        "d",
    ),
}


@pytest.mark.parametrize("case", FILTERS.values(), ids=FILTERS)
async def test_a_bulk_replay_is_filtered(world: World, case: tuple[dict[str, Any], str]) -> None:
    filters, wanted = case
    seed = world.seed
    by_name = {
        "a": seed.message(at(9), (at(9), FAILED), (at(8), DELIVERED)),
        "b": seed.message(at(8), (at(8), DELIVERED), (at(7), FAILED)),
        "c": seed.message(at(7), (at(7), DELIVERED)),
        "d": seed.message(at(6), (at(6), FAILED)),
        "e": seed.message(at(5), (at(5), FAILED)),
        "f": seed.message(at(4), (at(4), FAILED)),
    }
    seed.schedule(by_name["e"], NOW + HOUR, 1)
    await seed.write(world.db)
    await shaped(world, by_name["b"], event_type="order.sent")
    await shaped(world, by_name["c"], channels=["blue", "red"])
    await shaped(world, by_name["d"], channels=["blue"], tags=["vip", "eu"])
    sql = "UPDATE attempt SET response_status_code = 0 WHERE msg_id = :id"
    await run_sql(world.db, sql, id=by_name["f"])

    task = await replayed(world, bulk_replay, filters=_filters(**filters))

    assert sorted(by_name[name] for name in wanted) == await sent_again(world.db, task.id)
    assert len(wanted) == task.counters["messagesSent"]
    assert 6 == task.done


async def test_a_send_in_flight_is_followed_by_another(world: World) -> None:
    msg_id = world.seed.message(at(5), (at(5), FAILED))
    world.seed.schedule(msg_id, NOW, 1)
    await world.seed.write(world.db)
    await lease_all(world.db, lease=77)

    await replayed(world, bulk_replay)

    assert [(77, 2)] == await rows(world.db, "SELECT lease, again FROM delivery")


_DELIVERIES = {  # hours until it is due, hours until the lease expires
    "never attempted": (2, None),
    "due again": (1, None),
    "in flight": (-1, 1),
    "in flight, first": (-1, 1),
    "lease expired": (-1, -1),
    "requested again": (-1, None),
}
_ENDS = {"exhausted": 1, "requested again": 1, "resend failed": 1, "no payload": 1, "discarded": 3, "canceled": 2}


async def _undelivered(world: World) -> dict[str, str]:
    """Store a message in each state, twice: the second ones have an event type, a channel and a tag."""
    seed, made = world.seed, {}
    for number, more in enumerate(("", "+")):
        first = at(8 - 4 * number)
        for name in ("never attempted", "in flight, first", "lease expired"):
            made[name + more] = seed.message(first)
        for name in ("due again", "in flight", "exhausted", "requested again", "discarded", "canceled"):
            made[name + more] = seed.message(first, (first, FAILED))
        made["no payload" + more] = seed.message(first, (first, FAILED), payload=None)
        made["resend failed" + more] = seed.message(first, (first, DELIVERED), (first + 4, FAILED))
        made["delivered" + more] = seed.message(first, (first, DELIVERED))
        for name, (due, _) in _DELIVERIES.items():
            seed.schedule(made[name + more], NOW + due * HOUR, 0)
    await seed.write(world.db)
    await _set_states(world, made)
    return made


async def _set_states(world: World, made: dict[str, str]) -> None:
    """Set leases, the ends of deliveries, and what the filters select."""
    for name, msg_id in made.items():
        until, ended = _DELIVERIES.get(name.strip("+"), (0, None))[1], _ENDS.get(name.strip("+"))
        if until is not None:
            sql = "UPDATE delivery SET lease = 7, lease_until = :until WHERE msg_id = :id"
            await run_sql(world.db, sql, until=NOW + until * HOUR, id=msg_id)
        if ended is not None:
            await run_sql(
                world.db, "UPDATE attempt SET ended = :end WHERE msg_id = :id AND status = 2", end=ended, id=msg_id
            )
        if "+" in name:
            await shaped(world, msg_id, event_type="order.sent", channels=["blue"], tags=["vip"])


_WANTED = {
    UndeliveredState.SCHEDULED: {"never attempted", "due again", "lease expired", "requested again"},
    UndeliveredState.IN_FLIGHT: {"in flight", "in flight, first"},
    UndeliveredState.EXHAUSTED: {"exhausted", "no payload"},
}
_SHAPE = MessageFilter(event_types=("order.sent",), channel="blue", tag="vip")


@pytest.mark.parametrize("state", UndeliveredState, ids=lambda each: each.value)
@pytest.mark.parametrize("part", ["all", "filtered", "older"])
async def test_a_state_selects_the_messages_that_the_list_has(world: World, state: UndeliveredState, part: str) -> None:
    made = await _undelivered(world)
    messages = _SHAPE if part == "filtered" else MessageFilter()
    until = at(6) if part == "older" else None
    listing = UndeliveredFilter(state=state, messages=messages, since=at(10), until=until)
    scope = UndeliveredScope(world.seed.app.org_id, world.seed.endpoint_id)
    async with world.db.read() as read:
        found = await page_of_undelivered(read, scope, listing, UndeliveredWindow(Order.ASCENDING, 50), NOW)
    listed = {row.key.msg_id for row in found.rows}

    task = await replayed(world, bulk_replay, filters=ReplayFilters(messages=messages, state=state), until=until)

    sent = await sent_again(world.db, task.id)
    skipped = [msg_id for msg_id, _ in await world.skipped(task)]
    marks = {"all": ("", "+"), "filtered": ("+",), "older": ("",)}[part]
    wanted = {made[name + mark] for name in _WANTED[state] for mark in marks}
    assert wanted == listed == {*sent, *skipped}
    assert {made["no payload" + mark] for mark in marks if state is UndeliveredState.EXHAUSTED} == set(skipped)
    assert {"messagesSent": len(sent)} == await world.result(task)


async def test_a_message_in_flight_is_sent_again_only_if_that_fails(world: World) -> None:
    made = await _undelivered(world)

    await replayed(world, bulk_replay, filters=ReplayFilters(state=UndeliveredState.IN_FLIGHT))

    sql = "SELECT again FROM delivery WHERE msg_id = :id"
    assert [(1,)] == await rows(world.db, sql, id=made["in flight"])
