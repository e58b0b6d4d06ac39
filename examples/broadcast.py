# SPDX-License-Identifier: MIT
"""Send one message to every application of the organization with the background task `message.broadcast`."""

import base64
import os

import httpx
from svix.api import Svix, SvixOptions
from svix.models import ApplicationIn, EndpointIn

from receiver import Receiver

URL = os.environ.get("TIDINGS_URL", "http://127.0.0.1:8071")
TOKEN = os.environ["TIDINGS_TOKEN"]
CUSTOMERS = ("Ada", "Grace", "Katherine")


def main() -> None:
    svix = Svix(TOKEN, SvixOptions(server_url=URL))
    with Receiver() as receiver:
        receiver.secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
        for name in CUSTOMERS:
            app = svix.application.create(ApplicationIn(name=name))
            svix.endpoint.create(app.id, EndpointIn(url=receiver.url, secret=receiver.secret))

        with httpx.Client(
            base_url=f"{URL}/api/v1",
            headers={"authorization": f"Bearer {TOKEN}"},
            timeout=35,
            trust_env=False,
        ) as client:
            message = {"eventType": "maintenance.planned", "payload": {"on": "Sunday"}}
            task = client.post("/msg/broadcast", json=message).raise_for_status().json()
            ended = client.get(f"/background-task/{task['id']}/wait?timeout=30").raise_for_status().json()
        print(ended["task"], ended["status"], len(ended["data"]["messagesCreated"]), "messages created")

        receiver.wait_for(len(CUSTOMERS))
        print(len(receiver.messages), "messages delivered")


if __name__ == "__main__":
    main()
