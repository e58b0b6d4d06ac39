# SPDX-License-Identifier: MIT
"""A real Chromium on a real server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import playwright.sync_api as playwright
import pytest

import live
from browser.kit import Customer, Receiver

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[playwright.Browser]:
    """Give the Chromium of this machine.

    Playwright's event loop counts as running until it stops, so no asynchronous test may run meanwhile: the files with
    a browser have none.
    """
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        # As root, in containers, Chromium has no sandbox; it opens pages of this server alone.
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def customer(tmp_path: Path, receiver: Receiver) -> Iterator[Customer]:
    """Give an application of a server on SQLite, without endpoints."""
    with live.serving(f"sqlite:///{tmp_path}/tidings.db", tmp_path, retry_schedule="[3600]") as server:
        customer = Customer(server, receiver)
        customer.created("/app", {"name": "Acme Corporation", "uid": "acme"})
        yield customer
