# SPDX-License-Identifier: MIT
"""Short journeys through the pages in a real browser."""

from pathlib import Path

import playwright.sync_api as playwright
import pytest
from playwright.sync_api import expect

from browser.kit import Customer, Watched, opened
from dev.kit import developing


def test_a_portal_link_signs_in_and_leaves_no_token_in_the_address(
    chromium: playwright.Browser, customer: Customer
) -> None:
    with opened(chromium, customer.server.url) as window:
        window.page.goto(customer.link())
        window.page.wait_for_url("**/portal/app_*")

        assert "Acme Corporation" in window.page.inner_text("header")
        assert "key=" not in window.page.url
        assert [] == window.problems


def test_without_javascript_the_link_is_pasted(chromium: playwright.Browser, customer: Customer) -> None:
    link = customer.link()
    with opened(chromium, customer.server.url, java_script_enabled=False) as window:
        window.page.goto(link)
        window.page.get_by_label("Portal link").fill(link)
        window.page.get_by_role("button", name="Sign in").click()

        assert "/portal/app_" in window.page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_key_signs_in_to_the_console(chromium: playwright.Browser, customer: Customer, scheme: str) -> None:
    with opened(chromium, customer.server.url, scheme=scheme) as window:
        window.page.goto(f"{customer.server.url}/console")
        window.page.get_by_label("Key or token").fill(customer.server.token)
        window.page.keyboard.press("Enter")
        window.page.wait_for_url("**/console/org_*")

        assert [] == window.problems


def test_an_outage_is_found_and_repaired_by_the_wizard(chromium: playwright.Browser, customer: Customer) -> None:
    customer.created("/event-type", {"name": "invoice.paid", "description": "An invoice was paid."})
    customer.receiver.statuses["/billing"] = 500
    endpoint = customer.endpoint("/billing", description="Billing")
    for number in range(3):
        customer.message("invoice.paid", {"number": number})
    with opened(chromium, customer.server.url) as window:
        page = _in_the_portal(window, customer)
        page.get_by_role("link", name="Messages").first.click()
        page.get_by_role("table").get_by_role("link").first.click()
        expect(page.locator("main")).to_contain_text("failed with status 500")

        customer.receiver.statuses.clear()
        page.goto(f"{_home(page)}/recover")
        expect(page.get_by_role("heading", level=1)).to_have_text("Recover messages")
        page.locator("select#endpoint").select_option(endpoint)
        page.get_by_role("button", name="Check what would be sent").click()
        expect(page.locator("main")).to_contain_text("3 messages would be sent")
        page.get_by_role("button", name="Start sending").click()
        expect(page.locator(".live")).to_contain_text("Succeeded")

        assert [] == window.problems
    assert {0, 1, 2} == {each["number"] for each in customer.receiver.payloads("/billing")[-3:]}


def test_a_customer_adds_an_endpoint_and_sees_why_a_message_did_not_match(
    chromium: playwright.Browser, customer: Customer
) -> None:
    for name in ("invoice.paid", "customer.created"):
        customer.created("/event-type", {"name": name, "description": "Something happened."})
    with opened(chromium, customer.server.url) as window:
        page = _in_the_portal(window, customer)
        page.get_by_role("link", name="Add an endpoint").first.click()
        page.get_by_label("URL").fill(f"{customer.receiver.url}/hooks")
        page.get_by_label("Only the chosen ones").check()
        page.get_by_role("checkbox", name="invoice.paid").check()
        page.get_by_role("button", name="Add the endpoint").click()
        page.get_by_role("link", name="Send a test event").first.click()
        page.get_by_label("Event type").select_option("invoice.paid")
        page.get_by_label("Payload").fill('{"invoice": 1}')
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("main")).to_contain_text("The receiver accepted the message.")

        other = customer.message("customer.created", {"id": 1})
        page.goto(f"{_home(page)}/message/{other}")
        expect(page.locator("main")).to_contain_text("did not subscribe to the event type")

        assert [] == window.problems
    assert [{"invoice": 1}] == customer.receiver.payloads("/hooks")


def test_a_developer_breaks_the_inbox_and_repairs_it(chromium: playwright.Browser, tmp_path: Path) -> None:
    with developing(tmp_path) as server, opened(chromium, server.url) as window:
        page = window.page
        page.goto(server.link)
        page.get_by_role("link", name="Inbox").first.click()
        expect(page.get_by_role("table")).to_contain_text("valid")
        page.get_by_role("button", name="Fail").click()
        page.get_by_role("button", name="Send a test message").click()
        page.get_by_role("link", name="See why it failed").click()
        # The second attempt follows by itself; the third one is minutes away, so that the developer is first.
        expect(page.locator("main")).to_contain_text("Attempt 2 failed with status 500", timeout=30_000)

        page.go_back()
        page.get_by_role("button", name="Accept").click()
        page.get_by_role("link", name="resend all that failed").click()
        page.get_by_role("button", name="Check what would be sent").click()
        page.get_by_role("button", name="Start sending").click()
        expect(page.locator(".live")).to_contain_text("Succeeded")

        assert [] == window.problems
        server.end()


def _in_the_portal(window: Watched, customer: Customer) -> playwright.Page:
    window.page.goto(customer.link())
    window.page.wait_for_url("**/portal/app_*")
    return window.page


def _home(page: playwright.Page) -> str:
    """Return the address of the portal's first page."""
    return "/".join(page.url.partition("?")[0].split("/")[:5])
