# SPDX-License-Identifier: MIT
"""The data of a customer with a real past: what works, what fails, and what never matched. And its neighbors."""

import time
from typing import Any, Final

from browser.kit import Customer

_TYPES: Final = {
    "invoice.paid": "An invoice was paid in full.",
    "invoice.payment_failed": "A payment of an invoice failed.",
    "customer.created": "A customer signed up.",
    "customer.subscription.updated": "A subscription changed its plan.",
    "shipment.delivered": "A shipment arrived.",
}
_SCHEMA: Final = {
    "1": {
        "type": "object",
        "title": "Invoice",
        "properties": {"id": {"type": "string"}, "amount": {"type": "integer"}, "currency": {"type": "string"}},
        "required": ["id", "amount"],
        "examples": [{"id": "in_1042", "amount": 4_200, "currency": "EUR"}],
    }
}
_SCRIPT: Final = "function handler(webhook) {\n  webhook.payload = { text: webhook.eventType };\n  return webhook;\n}"
_CONNECTOR: Final = {
    "name": "Ticket system",
    "description": "Open a ticket for each failed payment, with the customer and the amount.",
    "instructions": "1. Open **Tickets**, then choose `Admin`.\n2. Copy the [webhook URL](https://example.com/docs).",
    "allowedEventTypes": ["invoice.payment_failed", "invoice.paid"],
    "transformation": _SCRIPT,
}
_MESSAGES: Final = 24
_GONE: Final = 410
_LONG: Final = "The Quite Long Name of a Customer That Has Merged with Another One (Holding) GmbH & Co. KG"
_OTHERS: Final = ("org_0000000000000000000northwind", "org_000000000000000000000contoso")


def filled(customer: Customer) -> str:
    """Fill an application: event types, endpoints of different health, messages, a task, integrations.

    Return the id of the endpoint with an old version of a connector.
    """
    for name, description in _TYPES.items():
        customer.created("/event-type", {"name": name, "description": description, "schemas": _SCHEMA})
    receiver = customer.receiver
    receiver.statuses["/billing"] = 500
    customer.endpoint("/orders", description="Order service", uid="orders")
    failing = customer.endpoint("/billing", description="Billing, production", filterTypes=["invoice.paid"])
    customer.endpoint("/archive", description="Data warehouse", disabled=True)
    customer.endpoint(
        "/a-rather-long-path-of-a-receiver/with/many/segments/that-does-not-fit/on-a-phone",
        description="Shipping <partner> & “friends”",
        filterTypes=["shipment.delivered"],
        channels=["eu"],
    )
    for number in range(_MESSAGES):
        name = list(_TYPES)[number % len(_TYPES)]
        payload: dict[str, Any] = {"id": f"in_{number}", "amount": number * 100, "note": "<b>not bold</b>"}
        customer.message(name, payload, eventId=f"event-{number}", tags=["nightly"] if number % 3 == 0 else [])
    _wait_for(receiver.got, _MESSAGES)
    customer.made(f"/endpoint/{failing}/recover", _since())
    outdated = _extended(customer)
    _neighbors(customer)
    return outdated


def _extended(customer: Customer) -> str:
    """Add a connector with three versions, an endpoint that has an old one, and integrations; return the endpoint."""
    connector = customer.created("/connector", _CONNECTOR)["id"]
    endpoint = customer.endpoint("/tickets", description="Tickets", filterTypes=["invoice.payment_failed"])
    customer.replaced(f"/app/{customer.app}/endpoint/{endpoint}/connector", {"connectorId": connector})
    for number in (2, 3):
        script = _SCRIPT.replace("text:", f"version: {number}, text:")
        customer.replaced(f"/connector/{connector}", {**_CONNECTOR, "transformation": script})
    for name, flags in (("Automation", ["beta"]), (_LONG, [f"a-long-feature-flag-{n}" for n in range(5)])):
        made = customer.made("/integration", {"name": name, "featureFlags": flags})["id"]
        customer.made(f"/integration/{made}/key/rotate", {})
    customer.made("/integration", {"name": "Without a key"})
    return endpoint


def _neighbors(customer: Customer) -> None:
    """Add applications, one with a lost message, and organizations and keys beside the first ones."""
    other = customer.created("/app", {"name": _LONG})["id"]
    customer.created("/app", {"name": "An empty one", "uid": "empty"})
    customer.receiver.statuses["/gone"] = _GONE
    at = len(customer.receiver.got)
    customer.created(f"/app/{other}/endpoint", {"url": f"{customer.receiver.url}/gone", "description": "Abandoned"})
    customer.created(f"/app/{other}/msg", {"eventType": "invoice.paid", "payload": {"id": "in_lost"}})
    _wait_for(customer.receiver.got, at + 1)
    customer.key("Order service")
    customer.key("Dashboard, read-only", expiry=86_400)
    for org in _OTHERS:
        customer.created("/app", {"name": "A neighbor"}, token=customer.server.token_of(org))


def _since() -> dict[str, str]:
    return {"since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3_600))}


def _wait_for(got: list[Any], count: int) -> None:
    """Wait until the receiver has this many requests."""
    deadline = time.monotonic() + 30
    while len(got) < count:
        assert time.monotonic() < deadline, f"{len(got)} of {count} requests arrived"
        time.sleep(0.05)
