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
from tidings.model.resending import ReplayFilters
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
