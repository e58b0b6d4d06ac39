# SPDX-License-Identifier: MIT
"""The portal in a frame of another site, in a real browser: it works, or says why and opens a tab."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import playwright.sync_api as playwright
import pytest
from playwright.sync_api import expect

import live
from browser.kit import Customer, Receiver

pytestmark = pytest.mark.browser


@contextmanager
def _site(link: list[str]) -> Iterator[str]:
    """Serve another site, whose page shows a link in a frame; give its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f'<!doctype html><title>Shop</title><iframe src="{link[0]}" width="900" height="700"></iframe>'
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        # Another site than that of the service: the name, not the address, of this machine.
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _framed(
    chromium: playwright.Browser, folder: Path, receiver: Receiver, *, secure: bool, allowed: bool = True
) -> Iterator[playwright.Page]:
    """Give a page of another site that shows a portal in its frame.

    `secure` makes the service believe that it is behind https; browsers count loopback as secure, too.
    """
    link = [""]
    port = live.free_port()
    with _site(link) as site:
        settings = {"portal_frame_ancestors": site if allowed else "https://elsewhere.example"}
        if secure:
            settings["app_portal_url"] = f"https://127.0.0.1:{port}"
        server = live.Live(f"sqlite:///{folder}/tidings.db", folder, (), settings, port)
        server.start()
        try:
            customer = Customer(server, receiver)
            customer.created("/app", {"name": "Acme Corporation", "uid": "acme"})
            link[0] = customer.link().replace("https://", "http://")
            context = chromium.new_context()
            context.set_default_timeout(15_000)
            page = context.new_page()
            page.goto(site)
            yield page
            context.close()
        finally:
            server.kill()


def test_a_frame_with_a_secure_cookie_shows_the_portal(
    chromium: playwright.Browser, tmp_path: Path, receiver: Receiver
) -> None:
    with _framed(chromium, tmp_path, receiver, secure=True) as page:
        frame = page.frame_locator("iframe")

        expect(frame.locator("main")).to_contain_text("Add your first endpoint")
        frame.get_by_role("link", name="Messages").first.click()
        expect(frame.get_by_role("heading", level=1)).to_have_text("Messages")


def test_a_frame_without_cookies_says_why_and_opens_a_tab(
    chromium: playwright.Browser, tmp_path: Path, receiver: Receiver
) -> None:
    with _framed(chromium, tmp_path, receiver, secure=False) as page:
        frame = page.frame_locator("iframe")
        expect(frame.locator("main")).to_contain_text("does not let a page keep you signed in")

        with page.context.expect_page() as opening:
            frame.get_by_role("button", name="Open in a new tab").click()

        tab = opening.value
        tab.wait_for_url("**/portal/app_*")
        expect(tab.locator("main")).to_contain_text("Add your first endpoint")


def test_a_site_that_is_not_named_shows_nothing(
    chromium: playwright.Browser, tmp_path: Path, receiver: Receiver
) -> None:
    with _framed(chromium, tmp_path, receiver, secure=True, allowed=False) as page:
        page.wait_for_load_state()

        assert "Acme" not in page.frames[-1].content()
        assert "chrome-error" in page.frames[-1].url
