# SPDX-License-Identifier: MIT
"""Call every method that the official SDK has for messages and attempts, and send an example.

Either generation of the SDK runs it, as with `everyday`. As a program it takes `{"url", "token", "receiver"}` as JSON
on its standard input and prints its findings as JSON.
"""

import http.client
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import svix.models as m
from svix.api import EndpointIn, EventTypeIn
from svix.api.message import MessageCreateOptions, MessageGetOptions, MessageListOptions
from svix.api.message_attempt import (
    MessageAttemptGetOptions,
    MessageAttemptListAttemptedDestinationsOptions,
    MessageAttemptListAttemptedMessagesOptions,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
)

from sdk.everyday import Everyday
from sdk.journey import until

SUCCESS, FAIL = m.MessageStatus.SUCCESS, m.MessageStatus.FAIL
TYPE = "order.made"


class Messaging(Everyday):
    """One run: two messages, one of which fails at first, and every call about them."""

    resources = ("message", "message_attempt")

    def run(self) -> dict[str, Any]:
        """Call everything."""
        with self.open:
            self.client = self.client_of(self.given["token"])
            self.begin()
            delivered, failed = self.messages()
            self.attempts(delivered, failed)
            self.standings(delivered, failed)
            self.sent_again(failed)
            self.expunged(delivered, failed)
        return self.told()

    def begin(self) -> None:
        self.app = self.client.application.create(m.ApplicationIn(name="Messaging")).id
        schemas = {"1": {"type": "object", "examples": [{"example": 1}, {"example": 2}]}}
        self.client.event_type.create(EventTypeIn(name=TYPE, description="", schemas=schemas))
        self.endpoint = self.client.endpoint.create(self.app, EndpointIn(url=self.given["receiver"], uid="main")).id
        self.configure_receiver(secret=self.client.endpoint.get_secret(self.app, self.endpoint).key)
        self.since = datetime.now(UTC) - timedelta(minutes=1)

    def configure_receiver(self, **told: object) -> None:
        """Set the receiver's response."""
        where = urlsplit(self.given["receiver"])
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        connection.request("PUT", "/control", json.dumps(told))
        connection.getresponse().read()
        connection.close()

    def tried(self, count: int) -> list[Any]:
        """Return the attempts at the endpoint, newest first, once their number is reached."""
        path = (self.app, self.endpoint)
        return list(until(lambda: self.call("message_attempt.list_by_endpoint", *path).data, lambda a: len(a) == count))

    def messages(self) -> tuple[str, str]:
        assert self.call("message.precheck", self.app, m.MessagePrecheckIn(event_type=TYPE)).active
        wanted = m.MessageIn(
            event_type=TYPE, event_id="one", payload={"n": 1}, channels=["c"], tags=["t"], payload_retention_hours=48
        )
        made = self.call("message.create", self.app, wanted, MessageCreateOptions(with_content=True))
        assert ({"n": 1}, ["c"], ["t"], "one") == (made.payload, made.channels, made.tags, made.event_id)
        self.tried(1)
        self.configure_receiver(failing=True)
        raw = m.MessageIn(event_type=TYPE, payload={}, transformations_params={"rawPayload": "plain"})
        other = self.call("message.create", self.app, raw)
        self.tried(2)
        self.configure_receiver(failing=False)
        assert made == self.call("message.get", self.app, "one", MessageGetOptions(with_content=True))
        assert {"raw": "plain"} == self.call(
            "message.get", self.app, other.id, MessageGetOptions(with_content=True)
        ).payload
        self.listed(made.id, other.id)
        return made.id, other.id

    def listed(self, one: str, other: str) -> None:
        def ids(**options: Any) -> list[str]:
            return [each.id for each in self.call("message.list", self.app, MessageListOptions(**options)).data]

        assert [other, one] == ids(event_types=[TYPE, "else"]) == ids(after=self.since, before=datetime.now(UTC))
        assert [one] == ids(channel="c") == ids(tag="t") == ids(iterator=other, limit=1)
        assert [other] == ids(iterator=f"-{one}") == ids(limit=1)

    def attempts(self, delivered: str, failed: str) -> None:
        newest, oldest = self.tried(2)
        assert [(failed, 500, FAIL), (delivered, 200, SUCCESS)] == [
            (each.msg_id, each.response_status_code, each.status) for each in (newest, oldest)
        ]
        for options, found in [
            (MessageAttemptListByEndpointOptions(status=FAIL, with_msg=True, event_types=[TYPE]), newest),
            (MessageAttemptListByEndpointOptions(status_code_class=m.StatusCodeClass(500)), newest),
            (MessageAttemptListByEndpointOptions(channel="c", tag="t", with_content=True), oldest),
            (MessageAttemptListByEndpointOptions(iterator=newest.id, after=self.since, expanded_statuses=True), oldest),
        ]:
            listed = self.call("message_attempt.list_by_endpoint", self.app, self.endpoint, options)
            assert [found.id] == [each.id for each in listed.data]
        canceled = MessageAttemptListByEndpointOptions(status=m.MessageStatus.CANCELED)
        assert [] == self.call("message_attempt.list_by_endpoint", self.app, self.endpoint, canceled).data
        first = MessageAttemptListByMsgOptions(endpoint_id="main", before=datetime.now(UTC), limit=1)
        listed = self.call("message_attempt.list_by_msg", self.app, "one", first)
        assert ([oldest.id], True) == ([each.id for each in listed.data], listed.done)
        alone = self.call(
            "message_attempt.get", self.app, failed, newest.id, MessageAttemptGetOptions(expanded_statuses=True)
        )
        assert (newest.id, FAIL, "{}") == (alone.id, alone.status, alone.response)

    def standings(self, delivered: str, failed: str) -> None:
        for status, found in [(None, [failed, delivered]), (SUCCESS, [delivered]), (FAIL, [failed])]:
            options = MessageAttemptListAttemptedMessagesOptions(status=status, event_types=[TYPE], with_content=True)
            listed = self.call("message_attempt.list_attempted_messages", self.app, "main", options)
            assert found == [each.id for each in listed.data]
        first = MessageAttemptListAttemptedDestinationsOptions(limit=1)
        [where] = self.call("message_attempt.list_attempted_destinations", self.app, failed, first).data
        assert (self.endpoint, FAIL, None) == (where.id, where.status, where.next_attempt)

    def sent_again(self, failed: str) -> None:
        self.call("message_attempt.resend", self.app, failed, "main")
        newest = self.tried(3)[0]
        assert (failed, SUCCESS, m.MessageAttemptTriggerType.MANUAL) == (
            newest.msg_id,
            newest.status,
            newest.trigger_type,
        )
        nothing = MessageAttemptListAttemptedMessagesOptions(status=FAIL)
        assert [] == self.call("message_attempt.list_attempted_messages", self.app, "main", nothing).data
        example = self.call(
            "endpoint.send_example", self.app, "main", m.EventExampleIn(event_type=TYPE, example_index=1)
        )
        assert (TYPE, {}) == (example.event_type, example.payload)
        assert example.id == self.tried(4)[0].msg_id

    def expunged(self, delivered: str, failed: str) -> None:
        attempt = self.tried(4)[-1]
        self.call("message_attempt.expunge_content", self.app, delivered, attempt.id)
        assert "EXPUNGED" == self.call("message_attempt.get", self.app, delivered, attempt.id).response
        self.call("message.expunge_content", self.app, delivered)
        self.refused(400, "message_attempt.resend", self.app, delivered, "main")
        gone = [delivered]
        if hasattr(self.client.message, "bulk_expunge_content"):
            told = self.call(
                "message.bulk_expunge_content", self.app, m.BulkExpungeContentsIn(ids=["one", failed, "nope"])
            ).results
            assert {"one": "expunged", failed: "expunged", "nope": "not-found"} == {
                name: status.value for name, status in told.items()
            }
            gone.append(failed)
        for msg_id in gone:
            shown = self.call("message.get", self.app, msg_id, MessageGetOptions(with_content=True))
            assert {"expired": True} == shown.payload


if __name__ == "__main__":
    json.dump(Messaging(json.load(sys.stdin)).run(), sys.stdout)
