# SPDX-License-Identifier: MIT
"""Start, await and read every background task that the official SDK has a method for.

As a program it takes `{"url", "token", "receiver"}` as JSON on its standard input and prints its findings. Either
generation of the SDK runs it.
"""

import http.client
import json
import sys
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from svix.api import Svix, SvixOptions
from svix.models import (
    ApplicationIn,
    AppUsageStatsIn,
    BulkReplayIn,
    EndpointIn,
    EventTypeIn,
    MessageIn,
    MessageStatus,
    ReplayIn,
)

SECONDS = 30.0


class Bulk:
    """One run of the program."""

    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.client = Svix(given["token"], SvixOptions(server_url=given["url"]))

    def run(self) -> dict[str, Any]:
        """Run everything; return the data of each task by its name."""
        with ExitStack() as open_:
            open_.enter_context(closing(self.client._httpx_client))  # noqa: SLF001 - the SDK has no way to close it
            since, until = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
            app = self.client.application.create(ApplicationIn(name="Bulk", uid="bulk")).id
            self.client.event_type.create(EventTypeIn(name="trip.begun", description="A trip has begun"))
            for number in range(3):
                wanted = MessageIn(event_type="trip.begun", payload={"number": number}, tags=["vip"])
                self.client.message.create(app, wanted)
            endpoint = self.client.endpoint.create(app, EndpointIn(url=self.given["receiver"])).id
            self.configure_receiver(secret=self.client.endpoint.get_secret(app, endpoint).key)
            found: dict[str, Any] = {"app": app}
            found["missing"] = self.ended(self.client.endpoint.replay_missing(app, endpoint, ReplayIn(since=since)))
            self.arrived(app, endpoint, 3)
            again = BulkReplayIn(since=since, tag="vip", event_types=["trip.begun"], status=MessageStatus.SUCCESS)
            found["again"] = self.ended(self.client.endpoint.bulk_replay(app, endpoint, again))
            self.arrived(app, endpoint, 6)
            usage = AppUsageStatsIn(since=since, until=until, app_ids=["bulk", "nobody"])
            counting = self.client.statistics.aggregate_app_stats(usage)
            found["unresolved"] = list(counting.unresolved_app_ids)
            found["usage"] = self.ended(counting)
            found["event_types"] = self.ended(self.client.statistics.aggregate_event_types())
            found["purged"] = self.ended(self.client.message.expunge_all_contents(app))
            return found

    def configure_receiver(self, **told: object) -> None:
        """Set the receiver's response."""
        where = urlsplit(self.given["receiver"])
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        connection.request("PUT", "/control", json.dumps(told))
        connection.getresponse().read()
        connection.close()

    def ended(self, started: Any) -> Any:
        """Wait for a task; return its name, final state and data."""
        deadline = time.monotonic() + SECONDS
        while (task := self.client.background_task.get(started.id)).status.value == "running":
            if time.monotonic() > deadline:
                raise TimeoutError(repr(task))
            time.sleep(0.05)
        return [task.task.value, task.status.value, task.data]

    def arrived(self, app: str, endpoint: str, number: int) -> None:
        """Wait for attempts."""
        deadline = time.monotonic() + SECONDS
        while len(self.client.message_attempt.list_by_endpoint(app, endpoint).data) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(number)
            time.sleep(0.05)


if __name__ == "__main__":
    json.dump(Bulk(json.load(sys.stdin)).run(), sys.stdout)
