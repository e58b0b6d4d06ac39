# SPDX-License-Identifier: MIT
"""The main job through the official SDK, so that any of its releases runs it.

As a program it takes `{"url", "token", "receiver"}` as JSON on its standard input and prints what it found as JSON.
"""

import http.client
import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import svix
from svix.api import BackgroundTaskListOptions, Svix, SvixOptions
from svix.exceptions import HttpError
from svix.models import (
    ApplicationIn,
    BackgroundTaskStatus,
    BackgroundTaskType,
    EndpointIn,
    EndpointSecretRotateIn,
    EventTypeIn,
    MessageAttemptOut,
    MessageIn,
    Ordering,
    RecoverIn,
)

MESSAGES = 12
SECONDS = 30.0


class Journey:
    """One run, with its client and receiver."""

    def __init__(self, given: dict[str, str]) -> None:
        self.client = Svix(given["token"], SvixOptions(server_url=given["url"]))
        self.receiver = given["receiver"]
        self.app_id = self.endpoint_id = ""

    def run(self) -> dict[str, Any]:
        """Run the whole journey; return the findings."""
        with closing(self.client._httpx_client):  # noqa: SLF001 - the SDK has no way to close it
            return self._run()

    def _run(self) -> dict[str, Any]:
        self.set_up()
        since = datetime.now(UTC)
        self.configure_receiver(failing=True)
        sent = [self.send(number) for number in range(MESSAGES)]
        failed = until(self.attempts, lambda found: len(found) == MESSAGES)
        self.configure_receiver(failing=False)
        started = self.client.endpoint.recover(self.app_id, self.endpoint_id, RecoverIn(since=since))
        task = until(lambda: self.client.background_task.get(started.id), lambda found: found.status.value != "running")
        every = until(self.attempts, lambda found: len(found) == 2 * MESSAGES)
        return {
            "version": svix.__version__,
            "sent": sent,
            "statuses": [sorted({attempt.status.value for attempt in part}) for part in (failed, every)],
            "started": [started.id, started.status.value, started.task.value],
            "ended": [task.id, task.status.value, task.task.value, task.data],
            "listed": self.lists(task.id),
            "triggers": sorted(attempt.trigger_type.value for attempt in every),
            "rotated": self.rotate(),
            "refused": self.refusals(),
        }

    def set_up(self) -> None:
        """Create an application, an event type and an endpoint, and read them back."""
        app = self.client.application.create(ApplicationIn(name="Journey", uid="journey"))
        self.client.event_type.create(EventTypeIn(name="trip.begun", description="A trip has begun"))
        endpoint = self.client.endpoint.create("journey", EndpointIn(url=self.receiver, uid="ep.of-journey"))
        assert self.client.application.get(app.id).uid == "journey"
        assert [each.id for each in self.client.endpoint.list(app.id).data] == [endpoint.id]
        self.app_id, self.endpoint_id = app.id, endpoint.id
        self.configure_receiver(secret=self.client.endpoint.get_secret(app.id, endpoint.id).key)

    def send(self, number: int) -> str:
        payload = {"number": number, "text": "å∫ç"}
        wanted = MessageIn(event_type="trip.begun", payload=payload, event_id=f"trip-{number}")
        message = self.client.message.create(self.app_id, wanted)
        assert self.client.message.get(self.app_id, f"trip-{number}").id == message.id
        return message.id

    def attempts(self) -> list[MessageAttemptOut]:
        """Return the attempts at the endpoint, each fetched on its own."""
        listed = self.client.message_attempt.list_by_endpoint(self.app_id, self.endpoint_id).data
        return [self.client.message_attempt.get(self.app_id, each.msg_id, each.id) for each in listed]

    def lists(self, task_id: str) -> list[list[str]]:
        """Return the list of tasks under every filter."""
        asked = [
            BackgroundTaskListOptions(),
            BackgroundTaskListOptions(
                status=BackgroundTaskStatus.FINISHED,
                task=BackgroundTaskType.ENDPOINT_RECOVER,
                limit=1,
                order=Ordering.ASCENDING,
            ),
            BackgroundTaskListOptions(status=BackgroundTaskStatus.FAILED),
            BackgroundTaskListOptions(task=BackgroundTaskType.ENDPOINT_REPLAY),
            BackgroundTaskListOptions(iterator=task_id, order=Ordering.DESCENDING),
        ]
        return [[each.id for each in self.client.background_task.list(wanted).data] for wanted in asked]

    def rotate(self) -> list[bool | None]:
        """Rotate the secret; return whether it changed, and whether the SDK's response, if any, holds it."""
        before = self.client.endpoint.get_secret(self.app_id, self.endpoint_id).key
        answer: Any = self.client.endpoint.rotate_secret(self.app_id, self.endpoint_id, EndpointSecretRotateIn())
        after = self.client.endpoint.get_secret(self.app_id, self.endpoint_id).key
        return [after != before, None if answer is None else answer.key == after]

    def refusals(self) -> list[str]:
        """Request absent resources under ids that must stay one segment of the path. The SDK does not escape ids."""
        ids = ["a/b", "a%2Fb", "a b", "ü", "a?b", "a#b", "a+b", f"{self.app_id}/endpoint"]
        calls: list[Callable[[], object]] = [
            *(lambda id_=id_: self.client.application.get(quote(id_, safe="")) for id_ in ids),
            lambda: self.client.endpoint.get(self.app_id, quote(f"{self.endpoint_id}/secret", safe="")),
            lambda: self.client.endpoint.delete("journey", quote("../app", safe="")),
            lambda: self.client.application.delete(quote(f"{self.app_id}/endpoint/{self.endpoint_id}", safe="")),
        ]
        found = [refusal(call) for call in calls]
        assert self.client.endpoint.get("journey", "ep.of-journey").id == self.endpoint_id
        return found

    def configure_receiver(self, **told: object) -> None:
        """Set the receiver's response."""
        where = urlsplit(self.receiver)
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        connection.request("PUT", "/control", json.dumps(told))
        connection.getresponse().read()
        connection.close()


def refusal(call: Callable[[], object]) -> str:
    """Return the status and the code of the SDK's exception."""
    try:
        call()
    except HttpError as error:
        return f"{error.status_code} {error.code}"
    return "no refusal"


def until(look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Poll until a result satisfies the condition."""
    deadline = time.monotonic() + SECONDS
    while not enough(found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(repr(found))
        time.sleep(0.05)
    return found


if __name__ == "__main__":
    json.dump(Journey(json.load(sys.stdin)).run(), sys.stdout)
