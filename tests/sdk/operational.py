# SPDX-License-Identifier: MIT
"""Call every method that the official SDK has for operational endpoints, and receive an operational event.

Either generation of the SDK runs it. As a program it takes `{"url", "token", "receiver"}` as JSON on its standard input
and prints as JSON what it has called, and this SDK's methods that it has not called.
"""

import http.client
import json
import sys
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import svix.models as m
from svix.api import Svix, SvixOptions

from sdk.everyday import NEWER, OLDER, TYPES
from sdk.journey import refusal, until

UPSERT: Any = getattr(m, "OperationalWebhookEndpointUpsertIn", None) or vars(m)["OperationalWebhookEndpointUpdate"]
SECRET = "whsec_" + "e" * 32


class Operational:
    """One run, with the methods that it has called."""

    def __init__(self, given: dict[str, str]) -> None:
        self.client = Svix(given["token"], SvixOptions(server_url=given["url"]))
        self.receiver = given["receiver"]
        self.called: set[str] = set()

    def run(self) -> dict[str, Any]:
        """Call everything."""
        with closing(self.client._httpx_client):  # noqa: SLF001 - the SDK has no way to close it
            self.ask("PUT", "/control", {"secret": SECRET})
            self.life()
        every = {name for name in dir(self.client.operational_webhook.endpoint) if not name.startswith("_")}
        return {"called": sorted(self.called), "left": sorted({NEWER.get(name, name) for name in every} - self.called)}

    def life(self) -> None:
        """Create an endpoint, receive an event, change the endpoint and delete it."""
        subscribed: Any = {TYPES: ["endpoint.created"]}
        wanted = m.OperationalWebhookEndpointIn(url=self.receiver, uid="ops", secret=SECRET, **subscribed)
        made = self.call("create", wanted)
        assert ("ops", ["endpoint.created"]) == (made.uid, getattr(made, TYPES))
        assert [made.id] == [each.id for each in self.call("list").data]
        assert made.url == self.call("get", made.id).url
        assert SECRET == self.call("get_secret", "ops").key
        app = self.client.application.create(m.ApplicationIn(name="A customer"))
        self.client.endpoint.create(app.id, m.EndpointIn(url="https://example.com/in"))
        [(_, _, is_valid, status)] = until(lambda: self.ask("GET", "/report"), bool)
        assert (True, 200) == (is_valid, status)
        put = self.call("upsert", made.id, UPSERT(url=self.receiver, uid="new", description="d", throttle_rate=9))
        assert ("new", "d", 9, None) == (put.uid, put.description, put.throttle_rate, getattr(put, TYPES))
        self.call("set_headers", "new", m.OperationalWebhookEndpointHeadersIn(headers={"x-mine": "1"}))
        assert {"x-mine": "1"} == self.call("get_headers", "new").headers
        assert self.call("rotate_secret", "new", m.OperationalWebhookEndpointSecretIn()) is None
        assert SECRET != self.call("get_secret", "new").key
        self.call("delete", "new")
        assert "404 not_found" == refusal(lambda: self.call("get", made.id))

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a method by its name in the newer generation."""
        owner = self.client.operational_webhook.endpoint
        self.called.add(name)
        return getattr(owner, name if hasattr(owner, name) else OLDER[name])(*arguments)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Make a request to the receiver."""
        where = urlsplit(self.receiver)
        with closing(http.client.HTTPConnection(where.hostname or "", where.port)) as connection:
            connection.request(method, path, json.dumps(body))
            return json.loads(connection.getresponse().read())


if __name__ == "__main__":
    json.dump(Operational(json.load(sys.stdin)).run(), sys.stdout)
