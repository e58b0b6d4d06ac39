# SPDX-License-Identifier: MIT
"""Send a message, verify its signature at the receiver, and refuse a forged one."""

import os

import httpx
from svix.api import Svix, SvixOptions
from svix.models import ApplicationIn, EndpointIn, MessageIn

from receiver import Receiver

URL = os.environ.get("TIDINGS_URL", "http://127.0.0.1:8071")


def main() -> None:
    svix = Svix(os.environ["TIDINGS_TOKEN"], SvixOptions(server_url=URL))
    app = svix.application.create(ApplicationIn(name="A customer"))
    with Receiver() as receiver:
        endpoint = svix.endpoint.create(app.id, EndpointIn(url=receiver.url))
        receiver.secret = svix.endpoint.get_secret(app.id, endpoint.id).key

        message = svix.message.create(app.id, MessageIn(event_type="invoice.paid", payload={"invoice": 1}))
        receiver.wait_for(1)
        print("verified", message.event_type, receiver.messages[message.id])

        forged = {"svix-id": "msg_forged", "svix-timestamp": "1", "svix-signature": "v1,Zm9yZ2Vk"}
        response = httpx.post(receiver.url, headers=forged, json={"invoice": 1_000_000}, trust_env=False)
        print("refused a forged message with", response.status_code)


if __name__ == "__main__":
    main()
