# SPDX-License-Identifier: MIT
"""The delivery table under random sequences of events, on both databases, against the rules of `model.delivery`.

Some processes here are zombies: they settle, hand back and drop under lease tokens that expired long ago.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import astuple
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tidings.model import delivery as rules
from tidings.model.delivery import DeliveryRecord, Lane, Mode, ResendRequest
from tidings.storage.drivers.database import Database, Write
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import deliveries, intake
from tidings.storage.tables.deliveries import ManualSend, SettledDelivery
from tidings.storage.tables.intake import DeliveryRow

Result = TypeVar("Result")
KEYS = [(f"msg_{m}", f"ep_{e}") for m in range(3) for e in range(2)]
TASKS = ["qtask_1", "qtask_2"]
LEASE_MS = 1_000
READ = """
SELECT msg_id, endpoint_id, due_at, lane, attempts, retry_at, manual, again, lease, lease_until, task_id FROM delivery
"""


class DeliveryStateMachine(RuleBasedStateMachine):
    """Run each event on the rows and on the model; they are equal after every step."""

    db: Database
    run: Callable[[Awaitable[Any]], Any]

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000
        self.model: dict[tuple[str, str], DeliveryRecord] = {}
        self.leases: list[int] = []
        self._write(lambda tx: tx.run("DELETE FROM delivery"))

    def _write(self, work: Callable[[Write], Awaitable[Result]]) -> Result:
        async def do() -> Result:
            async with self.db.write() as tx:
                return await work(tx)

        done: Result = self.run(do())
        return done

    def _lease(self) -> int:
        self.leases.append(len(self.leases) + 1)
        return self.leases[-1]

    def _change(self, key: tuple[str, str], row: DeliveryRecord | None) -> None:
        if row is None:
            self.model.pop(key, None)
        else:
            self.model[key] = row

    @rule(ms=st.sampled_from([1, 400, 1_100]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(key=st.sampled_from(KEYS), leased=st.booleans())
    def accept(self, *, key: tuple[str, str], leased: bool) -> None:
        if key in self.model:
            return
        lease, until = (self._lease(), self.now + LEASE_MS) if leased else (None, None)
        row = DeliveryRow(*key, "app_1", "org_1", self.now, lease, until)
        self._write(lambda tx: intake.add_deliveries(tx, [row]))
        self.model[key] = DeliveryRecord(due_at=self.now, lease=lease, lease_until=until)

    @rule(endpoint=st.sampled_from(["ep_0", "ep_1"]), lane=st.sampled_from(Lane), room=st.integers(1, 3))
    def claim(self, endpoint: str, lane: Lane, room: int) -> None:
        lease = self._lease()
        until = self.now + LEASE_MS
        taken = self._write(
            lambda tx: deliveries.claim(tx, [(endpoint, room)], lane=lane, lease=lease, now=self.now, until=until)
        )
        due = {
            key: row
            for key, row in self.model.items()
            if key[1] == endpoint and row.lane == lane and row.lease is None and row.due_at <= self.now
        }
        keys = {(row["msg_id"], row["endpoint_id"]) for row in taken}
        assert len(keys) == min(room, len(due))
        assert keys <= due.keys()
        left = [due[key].due_at for key in due.keys() - keys]
        assert not left or max((due[key].due_at for key in keys), default=0) <= min(left)
        for key in keys:
            self.model[key] = rules.claimed(self.model[key], lease, until)

    def _settled(self, data: st.DataObject) -> tuple[tuple[str, str], int]:
        return data.draw(st.sampled_from(KEYS)), data.draw(st.sampled_from(self.leases))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def settle_delivered(self, data: st.DataObject) -> None:
        key, lease = self._settled(data)
        self._write(lambda tx: deliveries.settle_delivered(tx, [SettledDelivery(*key, lease)], self.now))
        if key in self.model:
            self._change(key, rules.delivered(self.model[key], lease, self.now))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), wait=st.sampled_from([None, 0, 700]))
    def settle_failed(self, data: st.DataObject, wait: int | None) -> None:
        key, lease = self._settled(data)
        next_at = None if wait is None else self.now + wait
        self._write(lambda tx: deliveries.settle_failed(tx, [SettledDelivery(*key, lease, next_at)], self.now))
        if key in self.model:
            self._change(key, rules.failed(self.model[key], lease, self.now, next_at))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def return_unsent(self, data: st.DataObject) -> None:
        key, lease = self._settled(data)
        self._write(lambda tx: deliveries.return_unsent(tx, [SettledDelivery(*key, lease)], self.now))
        if key in self.model:
            self._change(key, rules.returned(self.model[key], lease, self.now))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        key, lease = self._settled(data)
        dropped = self._write(lambda tx: deliveries.discard(tx, [SettledDelivery(*key, lease)]))
        mine = key in self.model and self.model[key].lease == lease
        assert dropped == int(mine)
        if mine:
            del self.model[key]

    @rule()
    def sweep(self) -> None:
        self._write(lambda tx: deliveries.return_expired(tx, before=self.now, now=self.now, limit=100))
        for key, row in self.model.items():
            if row.lease is not None and row.lease_until is not None and row.lease_until <= self.now:
                self.model[key] = rules.returned(row, row.lease, self.now)

    @rule(
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True),
        mode=st.sampled_from(Mode),
        task=st.sampled_from([None, *TASKS]),
    )
    def ask(self, keys: list[tuple[str, str]], mode: Mode, task: str | None) -> None:
        wish = ResendRequest(Lane.REPLAY if task else Lane.LIVE, mode, task)
        sends = [ManualSend(*key, "app_1", "org_1", wish.lane, mode, task) for key in keys]
        self._write(lambda tx: deliveries.schedule_manual_sends(tx, sends, self.now))
        for key in keys:
            self.model[key] = rules.requested(self.model.get(key), wish, self.now)

    @rule(task=st.sampled_from(TASKS))
    def cancel(self, task: str) -> None:
        mine = {key for key, row in self.model.items() if row.task_id == task}
        taken = {key for key in mine if self.model[key].lease is None or self.model[key].again}
        assert taken == set(self._write(lambda tx: deliveries.cancel_of_task(tx, task, limit=100)))
        for key, row in list(self.model.items()):
            self._change(key, rules.canceled(row, task))

    @rule(endpoint=st.sampled_from(["ep_0", "ep_1"]))
    def disable(self, endpoint: str) -> None:
        gone = [key for key, row in self.model.items() if key[1] == endpoint and row.lease is None]
        assert len(gone) == self._write(lambda tx: deliveries.discard_waiting(tx, endpoint, limit=100))
        for key in gone:
            del self.model[key]

    @invariant()
    def the_rows_are_what_the_rules_say(self) -> None:
        async def read() -> list[Any]:
            async with self.db.write() as tx:
                return await tx.rows(READ)

        rows = {(row[0], row[1]): (*tuple(row)[2:6], bool(row["manual"]), *tuple(row)[7:]) for row in self.run(read())}
        assert rows == {key: astuple(row) for key, row in self.model.items()}


def _machine(url: str, examples: int, *, shrink: bool = True) -> None:
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    with asyncio.Runner() as runner:

        async def start() -> Database:
            database = await opened(url)
            await migrate(database)
            return database

        database = runner.run(start())
        machine = type("Machine", (DeliveryStateMachine,), {"db": database, "run": staticmethod(runner.run)})
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    phases=phases,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(database.close())


def test_every_sequence_of_events_follows_the_transition_rules(database_url: str) -> None:
    """Nothing is lost, doubled or moved by a process that lost its lease."""
    _machine(database_url, 40)


@pytest.mark.parametrize(
    "statement", ["_END_DELIVERED", "_END_FAILED", "_MOVE_FAILED", "_RETURN", "_DISCARD"], ids=str.lower
)
def test_the_state_machine_fails_without_the_lease_check(
    sqlite_url: str, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sabotage: a statement without the lease check lets a zombie write, and the test notices."""
    sound = getattr(deliveries, statement)
    blind = sound.replace("coalesce(lease, 0) = given.token", "given.token IS NOT NULL")
    monkeypatch.setattr(deliveries, statement, blind)

    with pytest.raises((AssertionError, sqlite3.IntegrityError)):
        _machine(sqlite_url, 300, shrink=False)
