# SPDX-License-Identifier: MIT
"""A batch knows which endpoints it has drained, and whether live rows or only replays of the others are left."""

from typing import Any

import pytest

from delivery.test_refresh import receiver
from tidings.delivery.claim_batch import Backlogs, ClaimBatch
from tidings.model.delivery import Lane


def batch(
    allocated: dict[str, int], live: dict[str, int], replays: dict[str, int], *, due_live: list[str]
) -> ClaimBatch:
    """Return a batch that leased these numbers of rows."""
    batch = ClaimBatch(now=1, leased_at=0.0, with_live=due_live, allocations=list(allocated.items()))
    batch.receivers = {each: receiver(each) for each in {*allocated, *live, *replays, *due_live}}
    lanes = ((Lane.LIVE, live), (Lane.REPLAY, replays))
    rows: list[Any] = [{"endpoint_id": each, "lane": lane} for lane, n in lanes for each in n for _ in range(n[each])]
    batch.rows = rows
    batch.taken.update(row["endpoint_id"] for row in rows)
    return batch


def test_an_endpoint_with_fewer_rows_than_capacity_is_drained() -> None:
    assert Backlogs(["ep_1"], [], []) == batch({"ep_1": 5}, {"ep_1": 3}, {"ep_1": 1}, due_live=["ep_1"]).backlogs()


@pytest.mark.parametrize(
    ("live", "replays", "expected"),
    [(5, 0, Backlogs([], [], ["ep_1"])), (3, 2, Backlogs([], ["ep_1"], [])), (5, 1, Backlogs([], [], ["ep_1"]))],
)
def test_an_endpoint_that_fills_its_capacity_may_have_more_rows(live: int, replays: int, expected: Backlogs) -> None:
    assert expected == batch({"ep_1": 5}, {"ep_1": live}, {"ep_1": replays}, due_live=["ep_1"]).backlogs()


def test_an_endpoint_without_capacity_keeps_its_rows() -> None:
    found = batch({}, {}, {}, due_live=["ep_1"])
    found.receivers["ep_2"] = receiver("ep_2")

    assert Backlogs([], ["ep_2"], ["ep_1"]) == found.backlogs()


def test_an_endpoint_whose_payloads_do_not_fit_is_spilled() -> None:
    found = batch({"ep_1": 5}, {"ep_1": 2}, {}, due_live=["ep_1"])
    found.too_large = {"ep_1": 100_000}

    assert Backlogs([], [], ["ep_1"]) == found.backlogs()
