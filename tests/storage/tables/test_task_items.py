# SPDX-License-Identifier: MIT
"""A task's items and an endpoint's outstanding sends are each read as a range of a dedicated index."""

import pytest

from tasks.kit import explained
from tidings.model.page import Order, PageWindow
from tidings.model.task_item import ItemOutcome
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import deliveries, task_items

INDEXES = {
    ItemOutcome.REARMED: "delivery_task",
    ItemOutcome.DELIVERED: "attempt_task",
    ItemOutcome.FAILED: "attempt_task",
    ItemOutcome.SKIPPED: "task_item",
    ItemOutcome.WITHDRAWN: "task_item",
    ItemOutcome.CREATED: "task_item",
    ItemOutcome.COUNTED: "task_item",
    ItemOutcome.AGGREGATED: "task_item",
}
_BEHIND = {"above": "msg_1.ep_1", "above_msg": "msg_1", "above_endpoint": "ep_1"}


def _uses(plan: str, index: str, dialect: Dialect) -> bool:
    if dialect is Dialect.SQLITE:
        return f"INDEX {index}" in plan or "AUTOINDEX" in plan.upper()
    # A partition names its own indexes, and for an empty table PostgreSQL may sort the few rows it expects.
    return "Seq Scan" not in plan and "Index Cond: (" in plan and "task_id = 'qtask_1'" in plan


@pytest.mark.parametrize("order", Order)
async def test_items_are_read_in_the_order_of_an_index(db: Database, order: Order) -> None:
    above = _BEHIND["above"] if order is Order.ASCENDING else None
    window = PageWindow(order, 51, above=above)
    for outcome in ItemOutcome:
        text = task_items.text_of(window, outcome)

        plan = await explained(db, text, task="qtask_1", outcome=outcome.value, rows=51, **_BEHIND)

        assert _uses(plan, INDEXES[outcome], db.dialect), (outcome, plan)
        assert "TEMP B-TREE" not in plan, (outcome, plan)


async def test_the_backlog_is_counted_in_an_index(db: Database) -> None:
    plan = await explained(db, deliveries._BACKLOG, endpoint="ep_1", limit=50_000)  # noqa: SLF001 - the statement

    assert "delivery_due" in plan, plan
    assert "delivery_lease_expiry" in plan, plan
    assert "Seq Scan" not in plan


async def test_the_first_items_of_many_tasks_are_read_at_once(db: Database) -> None:
    rows = [(task, f"k{n}", outcome, f"{task} {n}") for task in "ab" for outcome in ("one", "two") for n in range(3)]
    async with db.write() as tx:
        await task_items.add(tx, [(task, f"{outcome} {key}", outcome, text) for task, key, outcome, text in rows])

    async with db.read() as read:
        found = await task_items.first_of_each(read, [("b", "two"), ("a", "one"), ("c", "one")], limit=2)

    assert {
        ("b", "two"): [("two k0", "b 0"), ("two k1", "b 1")],
        ("a", "one"): [("one k0", "a 0"), ("one k1", "a 1")],
        ("c", "one"): [],
    } == found
    text = task_items._FIRST_OF_EACH  # noqa: SLF001 - the statement
    plan = await explained(db, text, ids=["a"], outcomes=["one"], limit=2)
    assert "Seq Scan" not in plan, plan
    assert "SCAN task_item" not in plan, plan
