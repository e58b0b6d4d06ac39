# SPDX-License-Identifier: MIT
"""Every page that a link leads to: in both themes and four widths, without faults, and with screenshots.

The operator's key opens the pages of the installation; those of an organization are the same under both keys.

They are in the folder that TIDINGS_SCREENSHOTS names, or `.screenshots`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import playwright.sync_api as playwright
import pytest

from browser.kit import AXE, Customer, Watched, opened
from browser.sample import filled
from tidings.ids import MANAGEMENT_ORG

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

_PAGES_MAX: Final = 80
_LOOKS: Final = [(1280, "light"), (1280, "dark"), (2560, "light"), (768, "light"), (360, "light"), (360, "dark")]
_ID: Final = re.compile(r"\b(app|ep|msg|atmpt|qtask|key|org|trtmpl|integ)_[0-9A-Za-z]+")
FOLDER: Final = Path(os.environ.get("TIDINGS_SCREENSHOTS", ".screenshots"))


@pytest.mark.parametrize("shell", ["portal", "console", "operator"])
@pytest.mark.parametrize(("width", "scheme"), _LOOKS)
def test_no_page_has_a_fault(
    chromium: playwright.Browser, customer: Customer, shell: str, width: int, scheme: str
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is absent; `make browser` installs it where npm is")
    outdated = filled(customer)
    with opened(chromium, customer.server.url, width=width, scheme=scheme) as window:
        _sign_in(window, customer, shell)
        found = {path: faults for path, faults in _crawled(window, shell, f"{width}-{scheme}", outdated) if faults}

    assert {} == found


def _sign_in(window: Watched, customer: Customer, shell: str) -> None:
    if shell == "portal":
        window.page.goto(customer.link())
        window.page.wait_for_url("**/portal/app_*")
    else:
        window.page.goto(f"{window.origin}/console")
        key = customer.server.token if shell == "console" else customer.key("Operator", MANAGEMENT_ORG)
        window.page.get_by_label("Key or token").fill(key)
        window.page.keyboard.press("Enter")
        window.page.wait_for_url("**/console/org_*" if shell == "console" else "**/console")


def _crawled(window: Watched, shell: str, look: str, outdated: str) -> Iterator[tuple[str, list[str]]]:
    """Open each kind of page once: pages whose addresses differ only in ids and query values are one kind.

    The page of the `outdated` endpoint alone leads to the one that applies a newer version of its connector.
    """
    waiting, seen = [window.page.url], set[str]()
    if shell == "portal":
        waiting.append(f"{window.page.url}/endpoint/{outdated}/connector")
    area = urlsplit(window.page.url).path if shell != "operator" else "/console"
    while waiting and len(seen) < _PAGES_MAX:
        url = waiting.pop(0)
        kind = _kind(url)
        if kind in seen:
            continue
        seen.add(kind)
        response = window.page.goto(url)
        assert response is not None
        kinds = response.headers.get("content-type", "")
        if not kinds.startswith("text/html"):
            continue
        name = re.sub(r"[^a-z0-9]+", "-", kind.removeprefix("/portal").removeprefix("/console")).strip("-") or "home"
        FOLDER.mkdir(exist_ok=True)
        window.page.screenshot(path=FOLDER / f"{shell}-{name}-{look}.png", full_page=True)
        faults = window.faults()
        yield kind, faults if response.ok else [f"status {response.status}", *faults]
        links = window.page.eval_on_selector_all("a[href]:not([download])", "all => all.map(each => each.href)")
        waiting += [each.partition("#")[0] for each in links if _is_within(urlsplit(each).path, area, shell)]


def _is_within(path: str, area: str, shell: str) -> bool:
    """Return whether a page is to be opened: those below the first one, or of the installation for an operator."""
    inside = path == area or path.startswith(f"{area}/")
    return inside and (shell != "operator" or not path.startswith("/console/org_"))


def _kind(url: str) -> str:
    parts = urlsplit(url)
    names = sorted({pair.partition("=")[0] for pair in parts.query.split("&") if pair} - {"at"})
    return _ID.sub(r"\1", parts.path) + ("?" + "&".join(names) if names else "")
