# SPDX-License-Identifier: MIT
"""Let messages fail during an outage, then resend all that failed with the background task `endpoint.recover`."""

import os
from datetime import UTC, datetime

import httpx
from svix.api import MessageAttemptListByEndpointOptions, Svix, SvixOptions
from svix.models import ApplicationIn, EndpointIn, MessageIn, MessageStatus, RecoverIn

from receiver import Receiver

URL = os.environ.get("TIDINGS_URL", "http://127.0.0.1:8071")
TOKEN = os.environ["TIDINGS_TOKEN"]
MESSAGES = 20


def main() -> None:
    svix = Svix(TOKEN, SvixOptions(server_url=URL))
    app = svix.application.create(ApplicationIn(name="A customer"))
    with Receiver() as receiver:
        endpoint = svix.endpoint.create(app.id, EndpointIn(url=receiver.url))
        receiver.secret = svix.endpoint.get_secret(app.id, endpoint.id).key

        receiver.is_failing = True
        since = datetime.now(UTC)
        for number in range(MESSAGES):
            svix.message.create(app.id, MessageIn(event_type="invoice.paid", payload={"invoice": number}))
        failed = MessageAttemptListByEndpointOptions(status=MessageStatus.FAIL, limit=MESSAGES)
        while len(svix.message_attempt.list_by_endpoint(app.id, endpoint.id, failed).data) < MESSAGES:
            pass  # each failed attempt is recorded a few milliseconds after the response
        print(MESSAGES, "messages failed")

        receiver.is_failing = False
        task = svix.endpoint.recover(app.id, endpoint.id, RecoverIn(since=since))
        ended = wait(task.id)
        print(ended["task"], ended["status"], ended["data"])
        receiver.wait_for(MESSAGES)
        print(len(receiver.messages), "messages delivered")


def wait(task_id: str) -> dict[str, object]:
    """Return the task once it has ended. The SDK has no such call; it is one of this service's own."""
    answer = httpx.get(
        f"{URL}/api/v1/background-task/{task_id}/wait?timeout=30",
        headers={"authorization": f"Bearer {TOKEN}"},
        timeout=35,
        trust_env=False,
    )
    task: dict[str, object] = answer.raise_for_status().json()
    return task


if __name__ == "__main__":
    main()
