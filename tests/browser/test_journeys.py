# SPDX-License-Identifier: MIT
"""Short journeys through the pages in a real browser."""

import playwright.sync_api as playwright
import pytest

from browser.kit import Customer, opened


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
