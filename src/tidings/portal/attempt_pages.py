# SPDX-License-Identifier: MIT
"""Attempts: their list over an endpoint or an application, one with request and response, and its signature."""

from dataclasses import dataclass
from typing import Final

from tidings import ids
from tidings.core import attempts, endpoints, messages, signing
from tidings.errors import AppError, ErrorKind, forbidden
from tidings.ids import timestamp_of
from tidings.model import signature
from tidings.model.attempt import Attempt
from tidings.model.endpoint import Endpoint
from tidings.model.message import Message
from tidings.model.page import Page
from tidings.model.token import Capability
from tidings.portal import curl, listing
from tidings.portal.message_pages import chosen_endpoint, offered
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_ENDPOINTS_MAX: Final = 20
"""The endpoints whose attempts one list shows; with more, the user chooses one."""
_TIMESTAMP_DIGITS: Final = 12


async def listed(page: PageRequest) -> Answer:
    """List the attempts at an endpoint, or at all endpoints of an application."""
    await page.watch()
    filters = listing.filters(page)
    position = filters.over(listing.cursor(page, ids.ATTEMPT), page.now)
    chosen, choices = await chosen_endpoint(page), await offered(page)
    if chosen is not None:
        found: Page[Attempt] | None = await attempts.page_of_endpoint(
            page.services, page.app, chosen.id, position, filters.attempt, with_message=True
        )
    else:
        found = await attempts.page_of_application(
            page.services, page.app, position, filters.attempt, endpoints_max=_ENDPOINTS_MAX
        )
    known = {each.id: each for each in (*choices, *((chosen,) if chosen else ()))}
    return page.page("attempts.html", found=found, filters=filters, chosen=chosen, offered=choices, known=known)


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """The result of a check of a signature."""

    is_valid: bool
    detail: str


async def shown(page: PageRequest) -> Answer:
    """Show an attempt with its request and the response."""
    return await _show(page)


async def _show(page: PageRequest, check: SignatureCheck | None = None) -> Answer:
    message = await messages.get(page.services, page.app, page.path["msg_id"], with_payload=True)
    attempt = await attempts.get(page.services, page.app, message.id, page.path["attempt_id"])
    endpoint = await _endpoint_of(page, attempt)
    return page.page(
        "attempt.html",
        message=message,
        attempt=attempt,
        endpoint=endpoint,
        command=curl.command(message, attempt.url, page.context.header_prefix, attempt.method),
        seconds=timestamp_of(attempt.id) // 1_000,
        check=check,
        given=page.form,
    )


async def _endpoint_of(page: PageRequest, attempt: Attempt) -> Endpoint | None:
    """Return the endpoint of an attempt, or None if it is deleted."""
    try:
        return await endpoints.get(page.services, page.app, attempt.endpoint_id)
    except AppError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return None


async def verify(page: PageRequest) -> Answer:
    """Check a signature with the given secret, or with that of the endpoint."""
    message = await messages.get(page.services, page.app, page.path["msg_id"], with_payload=True)
    attempt = await attempts.get(page.services, page.app, message.id, page.path["attempt_id"])
    return await _show(page, await _checked(page, message, attempt))


async def _checked(page: PageRequest, message: Message, attempt: Attempt) -> SignatureCheck:
    given, seconds, secret = page.form["signature"], page.form["timestamp"], page.form["secret"]
    if message.payload is None:
        return SignatureCheck(is_valid=False, detail="The payload is deleted, so its signature cannot be checked.")
    if not seconds.isascii() or not seconds.isdigit() or len(seconds) > _TIMESTAMP_DIGITS:
        return SignatureCheck(is_valid=False, detail="The timestamp is a number of seconds, as in webhook-timestamp.")
    if not secret:
        if not page.may(Capability.VIEW_ENDPOINT_SECRET):
            raise forbidden()
        secret = await signing.secret_of(page.services, page.app, attempt.endpoint_id)
    try:
        is_valid = signature.is_valid_for(secret, message.id, int(seconds), message.payload, given.encode())
    except ValueError as error:
        return SignatureCheck(is_valid=False, detail=f"The secret cannot be used: {error}.")
    return SignatureCheck(is_valid, "" if is_valid else _WRONG)


_WRONG: Final = (
    "The signature is not that of this payload, timestamp and secret. Compare the secret with that of the endpoint, and"
    " verify the body byte for byte, before it is parsed."
)
_ONE: Final = "/message/{msg_id}/attempt/{attempt_id}"

VIEWS: Final = (
    View(scope=Scope.APPLICATION, path="/attempt", handler=listed),
    View(scope=Scope.APPLICATION, path=_ONE, handler=shown),
    View(scope=Scope.APPLICATION, path=f"{_ONE}/verify", method="POST", handler=verify),
)
