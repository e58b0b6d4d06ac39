# SPDX-License-Identifier: MIT
"""The portal in a frame of another site, in a real browser: it works, or says why and opens a tab."""

import asyncio
import concurrent.futures
import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import playwright.sync_api as playwright
import pytest
from playwright.sync_api import expect

import live
from browser.kit import Customer, Receiver
from delivery.authority import Authority

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


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@contextmanager
def _https(folder: Path, port: int) -> Iterator[int]:
    """Serve a port of this machine over https, as a reverse proxy does; give the port for that."""
    tls = Authority.made(folder).receiver_context("127.0.0.1")
    started: concurrent.futures.Future[tuple[int, Callable[[], object]]] = concurrent.futures.Future()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        pumps = [asyncio.create_task(_pump(reader, inner_writer)), asyncio.create_task(_pump(inner_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (inner_writer, writer):
                each.transport.abort()

    async def serve() -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        proxy = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=tls)
        started.set_result((proxy.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(ended.set)))
        await ended.wait()
        proxy.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    secure_port, stop = started.result()
    try:
        yield secure_port
    finally:
        stop()
        thread.join()


@contextmanager
def _framed(
    chromium: playwright.Browser, folder: Path, receiver: Receiver, *, secure: bool, allowed: bool = True
) -> Iterator[playwright.Page]:
    """Give a page of another site that shows a portal in its frame.

    With `secure`, the portal is reached through a proxy that speaks https.
    """
    link = [""]
    port = live.free_port()
    with _site(link) as site, _https(folder, port) as secure_port:
        settings = {"portal_frame_ancestors": site if allowed else "https://elsewhere.example"}
        if secure:
            settings["app_portal_url"] = f"https://127.0.0.1:{secure_port}"
        server = live.Live(f"sqlite:///{folder}/tidings.db", folder, (), settings, port)
        server.start()
        try:
            customer = Customer(server, receiver)
            customer.created("/app", {"name": "Acme Corporation", "uid": "acme"})
            link[0] = customer.link()
            context = chromium.new_context(ignore_https_errors=True)
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
