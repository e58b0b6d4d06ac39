# SPDX-License-Identifier: MIT
"""Messages in every state that a delivery can have, each with its explanation: state, code, certain, attempts."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from api.kit import ORG, Api, Json
from tidings.clock import HOUR, MINUTE, SECOND, rfc3339
from tidings.core import retention
from tidings.model.attempt import BLOCKED_TEXT, MessageStatus
from tidings.model.delivery import Lane, Mode
from tidings.storage.tables import deliveries

FAILS: Final[Json] = {"status": 2, "code": 500}


class Setup:
    """An application with one endpoint and, after a send, one message to it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.app = self.endpoint = self.msg = ""

    async def begin(self, **endpoint: Any) -> None:
        self.app = await self.api.app()
        self.endpoint = await self.api.endpoint(self.app, **endpoint)
        self.api.clock.advance(MINUTE)

    async def send(self, **more: Any) -> None:
        self.msg = await self.api.message(self.app, **more)

    async def run(self, sql: str, **values: Any) -> None:
        async with self.api.db.write() as tx:
            await tx.run(sql, **values)

    async def row(self, **values: Any) -> None:
        """Change columns of the outstanding delivery."""
        for name, value in values.items():
            await self.run(f"UPDATE delivery SET {name} = :value WHERE msg_id = :msg", value=value, msg=self.msg)

    async def ended(self) -> None:
        """End the outstanding delivery, as a settlement does."""
        await self.run("DELETE FROM delivery WHERE msg_id = :msg", msg=self.msg)

    async def discarded(self) -> None:
        """Discard the outstanding delivery, as a claim does."""
        async with self.api.db.write() as tx:
            assert 1 == await deliveries.discard_waiting(tx, self.endpoint, limit=10)

    async def fail(self, times: int = 1, *, retry: bool = True) -> None:
        """Store failed attempts; after the last one, a retry is scheduled unless `retry` is false."""
        due = self.api.clock.now() + HOUR
        for number in range(1, times + 1):
            next_at = due if retry or number < times else None
            await self.api.attempt(self.app, self.endpoint, self.msg, next_at=next_at, **FAILS)
        await self.row(attempts=times, due_at=due)

    async def block(self) -> None:
        """Mark every attempt as refused by the address check, without a request."""
        sql = "UPDATE attempt SET response_status_code = 0, response = :text WHERE msg_id = :msg"
        await self.run(sql, text=f"{BLOCKED_TEXT}; ask the operator", msg=self.msg)

    async def change(self, **body: Any) -> None:
        """Edit the endpoint, some time later."""
        self.api.clock.advance(MINUTE)
        answer = await self.api.call("PATCH", f"/app/{self.app}/endpoint/{self.endpoint}", json=body)
        assert 200 == answer.status_code, answer.text
        self.api.clock.advance(MINUTE)

    async def delete_endpoint(self) -> None:
        self.api.clock.advance(MINUTE)
        assert 204 == (await self.api.call("DELETE", f"/app/{self.app}/endpoint/{self.endpoint}")).status_code

    async def forget(self) -> None:
        """Delete the endpoint's history, as its bound does to an old row."""
        await self.run("DELETE FROM endpoint_history WHERE endpoint_id = :id", id=self.endpoint)

    async def expunge(self) -> None:
        assert 204 == (await self.api.call("DELETE", f"/app/{self.app}/msg/{self.msg}/content")).status_code

    async def expire(self) -> None:
        self.api.clock.advance(25 * HOUR)
        assert 1 == await retention.expire(self.api.db, self.api.clock.now())

    async def canceled_task(self) -> None:
        """Let a task request the message, and cancel the task."""
        self.api.clock.advance(MINUTE)
        since = rfc3339(self.api.clock.now() - HOUR)
        path = f"/app/{self.app}/endpoint/{self.endpoint}/replay-missing"
        task = (await self.api.made(path, {"since": since}))["id"]
        again = deliveries.ManualSend(self.msg, self.endpoint, self.app, ORG, Lane.REPLAY, Mode.ALWAYS, task)
        async with self.api.db.write() as tx:
            await deliveries.schedule_manual_sends(tx, [again], self.api.clock.now())
        assert 200 == (await self.api.post(f"/background-task/{task}/cancel")).status_code

    async def listed(self, **params: Any) -> Json:
        found: Json = await self.api.read(f"/app/{self.app}/msg/{self.msg}/delivery", **params)
        return found

    async def only(self) -> Json:
        [row] = (await self.listed())["data"]
        found: Json = row
        return found


async def delivered(setup: Setup) -> None:
    await setup.begin()
    await setup.send()
    await setup.api.attempt(setup.app, setup.endpoint, setup.msg)
    await setup.ended()


async def delivered_though_a_later_resend_failed(setup: Setup) -> None:
    await delivered(setup)
    await setup.api.attempt(setup.app, setup.endpoint, setup.msg, **FAILS)


async def waiting(setup: Setup) -> None:
    await setup.begin()
    await setup.send()


async def sending(setup: Setup) -> None:
    await waiting(setup)
    await _lease(setup, MINUTE)


async def lost_by_its_node(setup: Setup) -> None:
    await waiting(setup)
    await _lease(setup, 0)


async def _lease(setup: Setup, ms: int) -> None:
    sql = "UPDATE delivery SET lease = 7, lease_until = :until WHERE msg_id = :msg"
    await setup.run(sql, until=setup.api.clock.now() + ms, msg=setup.msg)


async def put_off(setup: Setup) -> None:
    await setup.begin()
    await setup.send(deliverAt=rfc3339(setup.api.clock.now() + HOUR))


async def retried(setup: Setup) -> None:
    await waiting(setup)
    await setup.fail()


async def retried_while_blocked(setup: Setup) -> None:
    await retried(setup)
    await setup.block()


async def resent(setup: Setup) -> None:
    await delivered(setup)
    path = f"/app/{setup.app}/msg/{setup.msg}/endpoint/{setup.endpoint}/resend"
    assert 202 == (await setup.api.post(path)).status_code


async def waiting_for_a_disabled_endpoint(setup: Setup) -> None:
    await waiting(setup)
    await setup.change(disabled=True)


async def waiting_for_a_deleted_endpoint(setup: Setup) -> None:
    await waiting(setup)
    await setup.delete_endpoint()


async def exhausted(setup: Setup) -> None:
    await waiting(setup)
    await setup.fail(times=8, retry=False)
    await setup.ended()


async def always_blocked(setup: Setup) -> None:
    await exhausted(setup)
    await setup.block()


async def a_resend_failed(setup: Setup) -> None:
    await setup.begin(filterTypes=None, channels=["other"])
    await setup.send()
    await setup.api.attempt(setup.app, setup.endpoint, setup.msg, **FAILS)
    await setup.run("UPDATE attempt SET trigger_type = 1, number = NULL WHERE msg_id = :msg", msg=setup.msg)


async def a_resend_failed_before_an_edit(setup: Setup) -> None:
    await a_resend_failed(setup)
    await setup.change(description="edited")


async def stopped(setup: Setup) -> None:
    await waiting(setup)
    await setup.fail(times=2, retry=False)
    await setup.ended()


async def discarded_by_disabling(setup: Setup) -> None:
    await waiting_for_a_disabled_endpoint(setup)
    await setup.discarded()


async def discarded_by_disabling_after_attempts(setup: Setup) -> None:
    await retried(setup)
    await setup.change(disabled=True)
    await setup.discarded()


async def discarded_by_deleting(setup: Setup) -> None:
    await waiting_for_a_deleted_endpoint(setup)
    await setup.discarded()


async def discarded_by_deleting_after_attempts(setup: Setup) -> None:
    await retried(setup)
    await setup.delete_endpoint()
    await setup.discarded()


async def discarded_while_disabled(setup: Setup) -> None:
    await discarded_by_disabling_after_attempts(setup)
    await setup.change(disabled=False)


async def deleted_after_disabling(setup: Setup) -> None:
    await discarded_by_disabling_after_attempts(setup)
    await setup.delete_endpoint()


async def lost_its_retry(setup: Setup) -> None:
    await retried(setup)
    await setup.ended()


async def expunged(setup: Setup) -> None:
    await waiting(setup)
    await setup.expunge()


async def expunged_after_attempts(setup: Setup) -> None:
    await retried(setup)
    await setup.expunge()


async def expired(setup: Setup) -> None:
    await setup.begin()
    await setup.send(payloadRetentionPeriod=1)
    await setup.expire()


async def another_event_type(setup: Setup) -> None:
    await setup.begin(filterTypes=None)
    await setup.api.made("/event-type", {"name": "invoice.paid", "description": ""})
    await setup.change(filterTypes=["invoice.paid"])
    await setup.send()


async def another_event_type_by_now(setup: Setup) -> None:
    await waiting(setup)
    await setup.ended()
    await setup.api.made("/event-type", {"name": "invoice.paid", "description": ""})
    await setup.change(filterTypes=["invoice.paid"])


async def another_event_type_by_now_without_history(setup: Setup) -> None:
    await another_event_type_by_now(setup)
    await setup.forget()


async def another_event_type_at_the_time(setup: Setup) -> None:
    await another_event_type(setup)
    await setup.change(filterTypes=None)


async def edited_right_after_the_message(setup: Setup) -> None:
    await another_event_type(setup)
    setup.api.clock.advance(SECOND)
    answer = await setup.api.call("PATCH", f"/app/{setup.app}/endpoint/{setup.endpoint}", json={"filterTypes": None})
    assert 200 == answer.status_code


async def other_channels(setup: Setup) -> None:
    await setup.begin(channels=["eu"])
    await setup.send(channels=["us"])


async def another_payload(setup: Setup) -> None:
    await setup.begin(x={"filter": [{"path": "$.a", "operator": "==", "value": 2}]})
    await setup.send(payload={"a": 1})


async def another_payload_at_the_time(setup: Setup) -> None:
    await another_payload(setup)
    await setup.change(x={"filter": None})


async def another_payload_by_now(setup: Setup) -> None:
    await setup.begin()
    await setup.send(payload={"a": 1})
    await setup.ended()
    await setup.change(x={"filter": [{"path": "$.a", "operator": "==", "value": 2}]})


async def another_payload_by_now_without_history(setup: Setup) -> None:
    await another_payload_by_now(setup)
    await setup.forget()


async def another_payload_that_is_expunged(setup: Setup) -> None:
    await another_payload(setup)
    await setup.expunge()


async def disabled_before(setup: Setup) -> None:
    await setup.begin(disabled=True)
    await setup.send()


async def created_later(setup: Setup) -> None:
    await setup.begin()
    await setup.send()
    first, setup.endpoint = setup.endpoint, await setup.api.endpoint(setup.app)
    await setup.run("UPDATE endpoint SET app_id = 'app_other' WHERE id = :id", id=first)


async def changed_later(setup: Setup) -> None:
    await setup.begin(disabled=True)
    await setup.send()
    await setup.change(disabled=False)


async def changed_later_without_history(setup: Setup) -> None:
    await changed_later(setup)
    await setup.forget()


async def disabled_for_a_time(setup: Setup) -> None:
    await discarded_by_disabling(setup)
    await setup.change(disabled=False)


async def not_to_be_known(setup: Setup) -> None:
    await waiting(setup)
    await setup.ended()


async def canceled(setup: Setup) -> None:
    await created_later(setup)
    await setup.canceled_task()


async def canceled_after_attempts(setup: Setup) -> None:
    await exhausted(setup)
    await setup.canceled_task()


async def canceled_by_a_task_that_was_deleted(setup: Setup) -> None:
    await canceled_after_attempts(setup)
    for table in ("task", "task_item"):
        await setup.run(f"DELETE FROM {table}")


async def canceled_by_a_script(setup: Setup) -> None:
    await waiting(setup)
    await setup.api.attempt(setup.app, setup.endpoint, setup.msg, status=MessageStatus.CANCELED, code=0)
    await setup.ended()


CASES: dict[Callable[[Setup], Awaitable[None]], tuple[str, str, bool, int]] = {
    delivered: ("delivered", "delivered", True, 1),
    delivered_though_a_later_resend_failed: ("delivered", "delivered", True, 2),
    sending: ("in_flight", "sending", True, 0),
    lost_by_its_node: ("scheduled", "lease_expired", True, 0),
    waiting: ("scheduled", "waiting", True, 0),
    put_off: ("scheduled", "deliver_at", True, 0),
    retried: ("scheduled", "retry_scheduled", True, 1),
    retried_while_blocked: ("scheduled", "blocked_address", True, 1),
    resent: ("scheduled", "resend_scheduled", True, 1),
    waiting_for_a_disabled_endpoint: ("scheduled", "endpoint_disabled", True, 0),
    waiting_for_a_deleted_endpoint: ("scheduled", "endpoint_deleted", True, 0),
    exhausted: ("exhausted", "no_attempts_left", True, 8),
    a_resend_failed: ("exhausted", "resend_failed", True, 1),
    a_resend_failed_before_an_edit: ("exhausted", "resend_failed", True, 1),
    stopped: ("exhausted", "stopped_early", False, 2),
    lost_its_retry: ("exhausted", "stopped_early", False, 1),
    canceled_by_a_script: ("canceled", "transformation_canceled", True, 1),
    canceled: ("canceled", "task_canceled", True, 0),
    canceled_after_attempts: ("canceled", "task_canceled", True, 8),
    canceled_by_a_task_that_was_deleted: ("canceled", "task_canceled", True, 8),
    disabled_for_a_time: ("discarded", "endpoint_disabled", True, 0),
    discarded_by_disabling: ("discarded", "endpoint_disabled", True, 0),
    discarded_by_disabling_after_attempts: ("discarded", "endpoint_disabled", True, 1),
    discarded_while_disabled: ("discarded", "endpoint_disabled", True, 1),
    deleted_after_disabling: ("discarded", "endpoint_deleted", False, 1),
    discarded_by_deleting: ("discarded", "endpoint_deleted", True, 0),
    discarded_by_deleting_after_attempts: ("discarded", "endpoint_deleted", True, 1),
    expunged: ("discarded", "payload_expunged", True, 0),
    expunged_after_attempts: ("discarded", "payload_expunged", True, 1),
    expired: ("discarded", "payload_expired", True, 0),
    always_blocked: ("not_sent", "blocked_address", True, 8),
    another_event_type: ("not_sent", "event_type_not_subscribed", True, 0),
    another_event_type_at_the_time: ("not_sent", "event_type_not_subscribed", True, 0),
    edited_right_after_the_message: ("not_sent", "event_type_not_subscribed", False, 0),
    another_event_type_by_now: ("not_sent", "unknown", False, 0),
    another_event_type_by_now_without_history: ("not_sent", "event_type_not_subscribed", False, 0),
    other_channels: ("not_sent", "channel_not_matched", True, 0),
    another_payload: ("not_sent", "filter_not_matched", True, 0),
    another_payload_at_the_time: ("not_sent", "filter_not_matched", True, 0),
    another_payload_by_now: ("not_sent", "unknown", False, 0),
    another_payload_by_now_without_history: ("not_sent", "filter_not_matched", False, 0),
    another_payload_that_is_expunged: ("discarded", "payload_expunged", False, 0),
    disabled_before: ("not_sent", "endpoint_disabled", True, 0),
    created_later: ("not_sent", "endpoint_created_later", True, 0),
    changed_later: ("not_sent", "endpoint_disabled", True, 0),
    changed_later_without_history: ("not_sent", "endpoint_changed_later", False, 0),
    not_to_be_known: ("not_sent", "unknown", False, 0),
}
