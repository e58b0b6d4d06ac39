# SPDX-License-Identifier: MIT
"""White label and frames: the look by settings and by link, images by their content, and blocked cookies."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest

from api.kit import Api
from portal.kit import HERE, Browser, Site, site_of
from portal.test_endpoint_pages import assert_inert
from portal.test_site import HOSTILE
from tidings.portal import images
from tidings.portal.branding import Branding, look_of, theme
from tidings.settings import ConfigError, Settings

_PNG: Final = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
_HTTPS: Final = {"origin": "https://hooks.example", "host": "hooks.example", "x-forwarded-proto": "https"}


async def _link(api: Api, app: str, **look: str) -> str:
    url = (await api.made(f"/auth/app-portal-access/{app}", {}))["url"]
    return f"{url}&{urlencode(look, quote_via=quote)}" if look else str(url)


async def _opened(site: Site, app: str, **look: str) -> Browser:
    browser = site.browser()
    await browser.post("/portal/sign-in", key=await _link(site.api, app, **look))
    assert 200 == browser.status, browser.text
    return browser


async def test_the_settings_give_the_portal_its_look(lite_site: Site, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(_PNG)
    (tmp_path / "icon").write_bytes(b"\x00\x00\x01\x00rest")
    look = {"portal_name": "Acme", "portal_color": "#0a7d4b", "portal_back_url": "https://acme.example/settings"}
    files = {"portal_logo": str(tmp_path / "logo.png"), "portal_favicon": str(tmp_path / "icon")}
    site = site_of(lite_site.api, **look, **files)
    browser = await site.portal(await site.api.app())

    page = browser.page

    assert "Acme" in page.said
    assert "https://acme.example/settings" in page.links
    [sheet] = [
        given["href"] for tag, given in page.tags if given.get("rel") == "stylesheet" and "theme" in given["href"]
    ]
    assert "--accent:#0a7d4b" in (await browser.client.get(sheet)).text
    [logo] = [given["src"] for tag, given in page.tags if tag == "img"]
    found = await browser.client.get(logo)
    assert (_PNG, "image/png", "nosniff") == (
        found.content,
        found.headers["content-type"],
        found.headers["x-content-type-options"],
    )
    [icon] = [given["href"] for _, given in page.tags if given.get("rel") == "icon"]
    assert "image/x-icon" == (await browser.client.get(icon)).headers["content-type"]
    assert 404 == (await browser.client.get("/portal/brand/other.png")).status_code


async def test_a_link_has_a_look_of_its_own_until_the_next_link(site: Site) -> None:
    app = await site.api.app()
    browser = await _opened(site, app, name="Acme & Co", color="#aa0000", back="https://acme.example/?a=1&b=2")

    page = await browser.open(f"/portal/{app}/endpoint")
    assert "Acme & Co" in page.said
    assert "https://acme.example/?a=1&b=2" in page.links
    assert "theme.css?color=%23aa0000" in browser.text

    assert "Acme & Co" in (await browser.open(f"/portal/{app}/endpoint/ep_unknown")).said

    await browser.post("/portal/sign-in", key=await _link(site.api, app))
    assert "Acme" not in browser.page.said


@pytest.mark.parametrize(
    "look",
    [
        {"name": "x" * 65, "color": "red", "back": "javascript:alert(1)"},
        {"name": "a\nb", "color": "#aa00001", "back": "https://a b"},
        {"name": " ", "color": "#AA000g", "back": "//evil.example"},
        {"name": "", "color": "#aa0000;}", "color_dark": "url(x)", "back": "https://x/" + "a" * 600},
        {"back": "https://evil.example\\@acme.example"},
    ],
)
async def test_a_wrong_value_in_a_link_is_ignored(lite_site: Site, look: dict[str, str]) -> None:
    app = await lite_site.api.app(name="Shop")
    browser = await _opened(lite_site, app, **look)

    page = await browser.open(f"/portal/{app}")

    assert "tidings Shop" in page.said
    assert "theme.css" not in browser.text
    assert not [link for link in page.links if not link.startswith(("/", "#"))]


async def test_a_hostile_name_and_cookie_are_inert(lite_site: Site) -> None:
    app = await lite_site.api.app()
    browser = await _opened(lite_site, app, name=HOSTILE)
    assert HOSTILE in browser.page.said
    assert_inert(browser)

    browser.client.cookies.set("tidings_look", "back=javascript%3Ax&color=%3Cb&name=%00", path=f"/portal/{app}")
    page = await browser.open(f"/portal/{app}/endpoint")
    assert 200 == browser.status
    assert not [link for link in page.links if "javascript" in link]


async def test_the_look_of_one_portal_does_not_reach_another(lite_site: Site) -> None:
    first, second = await lite_site.api.app(), await lite_site.api.app()
    browser = await _opened(lite_site, first, name="Acme")

    await browser.post("/portal/sign-in", key=await _link(lite_site.api, second))
    assert "Acme" not in browser.page.said
    assert "Acme" in (await browser.open(f"/portal/{first}")).said


@pytest.mark.parametrize("query", ["", "color=red", "color=%23aa0000}", "color=%23aa0000&dark=x", "color=" + "1" * 900])
async def test_a_theme_contains_checked_colors_only(lite_site: Site, query: str) -> None:
    found = await lite_site.browser().client.get(f"/portal/theme.css?{query}")

    assert (200, "") == (found.status_code, found.text)


def test_texts_on_a_color_are_readable() -> None:
    assert "--accent:#ffff00;--accent-text:#000" in theme("#ffff00", "")
    assert "dark){:root{--accent:#000080;--accent-text:#fff" in theme("#ffff00", "#000080")


def test_a_color_of_a_link_replaces_both_colors_of_the_settings() -> None:
    given = Branding(color="#111111", color_dark="#222222")

    assert ("#aa0000", None) == ((found := given.with_look(look_of({"color": "#aa0000"}))).color, found.color_dark)
    assert given == given.with_look("color=" + "a" * 3_000)
    assert given == given.with_look("%%%;;==&&")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (_PNG, "png"),
        (b"\xff\xd8\xff\xe0", "jpg"),
        (b"GIF89a", "gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "svg"),
    ],
)
def test_an_image_is_known_by_its_content(tmp_path: Path, body: bytes, name: str) -> None:
    (tmp_path / "file.html").write_bytes(body)

    assert images.read(tmp_path / "file.html").name.endswith(f".{name}")


@pytest.mark.parametrize("body", [b"", b"<html><svg></svg></html>", b"MZ", b"RIFF\0\0\0\0WAVE", b"<?xml?><html/>"])
def test_another_file_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "logo.png").write_bytes(body)

    with pytest.raises(ValueError, match="no image of a known type"):
        images.read(tmp_path / "logo.png")


def test_a_large_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(_PNG + b"\0" * images.BYTES_MAX)

    with pytest.raises(ValueError, match="larger than 256 KiB"):
        images.read(tmp_path / "logo.png")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"portal_logo": "/nowhere/logo.png"}, "portal_logo: the file cannot be read"),
        ({"portal_favicon": __file__}, "portal_favicon is no image"),
    ],
)
async def test_an_image_that_cannot_be_used_stops_the_start(lite_site: Site, settings: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        site_of(lite_site.api, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"portal_name": ""}, "portal_name must have 1 to 64"),
        ({"portal_name": "x" * 65}, "portal_name must have 1 to 64"),
        ({"portal_color": "red"}, "portal_color must be a color"),
        ({"portal_color_dark": "#12345"}, "portal_color_dark must be a color"),
        ({"portal_back_url": "javascript:alert(1)"}, "portal_back_url must be a URL"),
        ({"portal_frame_ancestors": ("https://a.example; script-src *",)}, "must list origins like"),
        ({"portal_frame_ancestors": ("*",)}, "must list origins like"),
        ({"portal_frame_ancestors": ("https://a.example/path",)}, "must list origins like"),
        ({"portal_frame_ancestors": ("https://a.example",) * 21}, "at most 20 entries"),
    ],
)
def test_a_wrong_setting_is_refused(settings: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Settings(**settings)


# ----------------------------------------------------------------------------------------------------------------------
# Frames


def _framed(site: Site) -> Site:
    return site_of(site.api, portal_frame_ancestors=("https://app.example", "https://*.acme.example:8443"))


async def test_named_origins_may_show_the_portal_in_a_frame_and_nothing_else(lite_site: Site) -> None:
    site = _framed(lite_site)
    app = await site.api.app()
    portal, console = await site.portal(app), await site.console()

    for browser, path in ((portal, f"/portal/{app}"), (portal, "/app-portal")):
        await browser.open(path)
        policy = browser.response.headers["content-security-policy"]
        assert policy.endswith("frame-ancestors https://app.example https://*.acme.example:8443")
        assert "x-frame-options" not in browser.response.headers
    for path in ("/console", "/console/sign-in"):
        await console.open(path)
        assert console.response.headers["content-security-policy"].endswith("frame-ancestors 'none'")


async def test_the_cookies_of_a_frame_are_partitioned(lite_site: Site) -> None:
    site = _framed(lite_site)
    key = await _link(site.api, await site.api.app(), name="Acme")

    given = await site.browser().client.post("/portal/sign-in", data={"key": key}, headers=_HTTPS)

    cookies = given.headers.get_list("set-cookie")
    assert 2 == len(cookies)
    assert all("SameSite=None; Partitioned; Secure" in each for each in cookies)


async def test_a_frame_whose_cookie_is_blocked_offers_a_new_tab(site: Site) -> None:
    framed = _framed(site)
    app = await framed.api.app()
    key = await _link(framed.api, app, name="Acme <b>")
    client = framed.browser().client
    headers = {"origin": HERE, "sec-fetch-dest": "iframe"}

    signed_in = await client.post("/portal/sign-in", data={"key": key}, headers=headers)
    assert (307, f"/portal/{app}/arrive") == (signed_in.status_code, signed_in.headers["location"])
    kept = await client.post(signed_in.headers["location"], data={"key": key}, headers=headers)
    assert (303, f"/portal/{app}") == (kept.status_code, kept.headers["location"])

    client.cookies.clear()
    browser = Browser(client)
    page = await browser.post(signed_in.headers["location"], key=key)
    assert (200, True) == (browser.status, "Open this page in a new tab" in page.said)
    assert "no-store" == browser.response.headers["cache-control"]
    page = await browser.submit("/portal/sign-in")
    assert (f"/portal/{app}", True) == (browser.path, "Acme <b>" in page.said)


async def test_the_page_of_a_blocked_cookie_repeats_no_foreign_text(lite_site: Site) -> None:
    browser = lite_site.browser()

    for key in ("", HOSTILE, "a" * 5_000):
        await browser.post("/portal/app_x/arrive", key=key, name=HOSTILE)
        assert 401 == browser.status
        assert_inert(browser)


async def test_a_new_link_continues_a_page_of_an_old_session(site: Site) -> None:
    app = await site.api.app()
    endpoint = await site.api.endpoint(app)
    browser = await site.portal(app, expiry=3_600)
    await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    old = browser.page.form("/disable")
    site.api.clock.advance(2 * 3_600_000)
    assert 401 == (await browser.client.get(f"/portal/{app}")).status_code

    await browser.post("/portal/sign-in", key=await _link(site.api, app))
    page = await browser.post(old.action, **old.values)
    assert (403, True) == (browser.status, "out of date" in page.said)
    page = await browser.open(f"/portal/{app}/endpoint/{endpoint}")
    assert 200 == browser.status
    assert "receives nothing" in (await browser.submit("/disable")).said
