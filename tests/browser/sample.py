# SPDX-License-Identifier: MIT
"""The data of a customer with a real past: what works, what fails, and what never matched."""

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
_MESSAGES: Final = 24


def filled(customer: Customer) -> None:
    """Fill an application: event types, four endpoints of different health, messages, a task."""
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


def _since() -> dict[str, str]:
    return {"since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3_600))}


def _wait_for(got: list[Any], count: int) -> None:
    """Wait until the receiver has this many requests."""
    deadline = time.monotonic() + 30
    while len(got) < count:
        assert time.monotonic() < deadline, f"{len(got)} of {count} requests arrived"
        time.sleep(0.05)
