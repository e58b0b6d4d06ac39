# SPDX-License-Identifier: MIT
"""Every flow without a mouse: the order and the visibility of the focus, and whole tasks done with keys alone."""

import re
from typing import Final

import playwright.sync_api as playwright
import pytest
from playwright.sync_api import expect

from browser.kit import Customer, Watched, opened
from browser.sample import filled
from tidings.ids import DEFAULT_ORG

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

_TABS_MAX: Final = 120
_PORTAL: Final = ("", "/endpoint", "/endpoint/new", "/message", "/attempt", "/recover", "/task", "/event-type", "/test")
_CONSOLE: Final = ("", "/app", "/message", "/delivery", "/task", "/event-type", "/new-event-type", "/key")
_FOCUSED: Final = """() => {
    const found = document.activeElement;
    if (!found || found === document.body) return null;
    const box = found.getBoundingClientRect(), style = getComputedStyle(found);
    const [x, y] = [box.x + box.width / 2, box.y + Math.min(box.height / 2, 12)];
    const on = document.elementFromPoint(x, y);
    return {
        name: (found.getAttribute('aria-label') || found.labels?.[0]?.textContent || found.textContent).trim(),
        tag: found.tagName + (found.name ? ' ' + found.name : ''),
        isShown: box.width > 0 && box.bottom > 0 && y < innerHeight && y >= 0,
        isFree: !!on && [found, ...(found.labels ?? [])].some(each => each.contains(on) || on.contains(each)),
        hasRing: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    };
}"""


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("shell", ["portal", "console"])
def test_the_focus_is_seen_on_every_stop(
    chromium: playwright.Browser, customer: Customer, shell: str, width: int
) -> None:
    filled(customer)
    with opened(chromium, customer.server.url, width=width) as window:
        home = _home(window, customer, shell)
        faults = {
            path: found
            for path in (_PORTAL if shell == "portal" else _CONSOLE)
            if (found := _stops(window, home + path))
        }

    assert {} == faults


def _stops(window: Watched, url: str) -> list[str]:
    """Press Tab through a page; return the stops whose focus is hidden or without a ring."""
    page = window.page
    page.goto(url)
    faults, seen = [], 0
    for _ in range(_TABS_MAX):
        page.keyboard.press("Tab")
        found = page.evaluate(_FOCUSED)
        if found is None:
            break
        seen += 1
        missing = [name for name in ("isShown", "isFree", "hasRing") if not found[name]]
        if missing:
            faults.append(f"{found['tag']} “{found['name'][:40]}”: {missing}")
        if seen == 1 and found["name"] != "Skip to the content":
            faults.append(f"the first stop is {found['name']}")
    return faults if seen > 5 else [*faults, f"only {seen} stops"]


def test_the_skip_link_leads_past_the_navigation(chromium: playwright.Browser, customer: Customer) -> None:
    with opened(chromium, customer.server.url) as window:
        page = window.page
        page.goto(_home(window, customer, "portal") + "/endpoint")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")

        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_an_endpoint_is_added_disabled_and_deleted_with_keys_alone(
    chromium: playwright.Browser, customer: Customer
) -> None:
    customer.created("/event-type", {"name": "invoice.paid", "description": "An invoice was paid."})
    with opened(chromium, customer.server.url) as window:
        page = window.page
        questions: list[str] = []

        def accept(dialog: playwright.Dialog) -> None:
            questions.append(dialog.message)
            dialog.accept()

        page.on("dialog", accept)
        page.goto(_home(window, customer, "portal"))
        _press(page, "Add an endpoint")
        _reach(page, "URL")
        page.keyboard.type(f"{customer.receiver.url}/keys")
        _reach(page, "All event types, also those that are added later")
        page.keyboard.press("ArrowDown")
        _reach(page, re.compile("^invoice.paid"))
        page.keyboard.press("Space")
        _press(page, "Add the endpoint")
        expect(page.locator("main")).to_contain_text("invoice.paid")

        _press(page, "Rotate the secret")
        expect(page.locator("details[open]")).to_have_count(1)
        _press(page, "Disable")
        expect(page.locator("main")).to_contain_text("It receives nothing until you enable it.")
        _press(page, "Delete")
        _press(page, "Delete the endpoint")
        expect(page.locator("main")).to_contain_text("Add your first endpoint")

        assert ["Disable this endpoint? It receives nothing until you enable it."] == questions
        assert [] == window.problems


def test_lost_messages_are_sent_again_with_keys_alone(chromium: playwright.Browser, customer: Customer) -> None:
    customer.receiver.statuses["/billing"] = 500
    customer.endpoint("/billing", description="Billing")
    for number in range(2):
        customer.message("invoice.paid", {"number": number})
    with opened(chromium, customer.server.url) as window:
        page = window.page
        page.goto(_home(window, customer, "portal"))
        expect(page.locator("main")).to_contain_text("failed")
        customer.receiver.statuses.clear()
        _press(page, "Tasks")
        _press(page, "Recover messages")
        _reach(page, "Endpoint")
        page.keyboard.press("ArrowDown")
        _press(page, "Check what would be sent")
        expect(page.locator("main")).to_contain_text("2 messages would be sent")
        _press(page, "Start sending")
        expect(page.locator(".live")).to_contain_text("Succeeded")

        assert [] == window.problems


def _home(window: Watched, customer: Customer, shell: str) -> str:
    """Sign in with keys alone, and return the address of the first page."""
    page = window.page
    if shell == "portal":
        page.goto(customer.link())
        page.wait_for_url("**/portal/app_*")
    else:
        page.goto(f"{window.origin}/console")
        _reach(page, "Key or token")
        page.keyboard.type(customer.server.token)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/console/{DEFAULT_ORG}")
    return page.url


def _press(page: playwright.Page, name: str) -> None:
    """Reach a link or a button by Tab, and press Enter."""
    _reach(page, name)
    page.keyboard.press("Enter")


def _reach(page: playwright.Page, name: str | re.Pattern[str]) -> None:
    """Press Tab until the element with a name has the focus; the page begins again after its end."""
    for _ in range(2 * _TABS_MAX):
        page.keyboard.press("Tab")
        try:
            found = page.evaluate(_FOCUSED)
        except playwright.Error:  # the page is being replaced by the next one
            page.wait_for_load_state()
            continue
        if found and (found["name"] == name if isinstance(name, str) else name.search(found["name"])):
            return
    raise AssertionError(f"no stop is called {name}")
