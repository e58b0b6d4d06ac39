# SPDX-License-Identifier: MIT
"""The settings of the proxy, from the environment to the message path."""

import pytest

from delivery.proxies import HttpProxy
from delivery.receiver import Receiver
from message_path import add_app, add_endpoint, running, terms
from tidings.config import load
from tidings.delivery.proxy import Proxy
from tidings.settings import ConfigError, Settings
from tidings.storage.drivers.store import migrate, opened


@pytest.mark.parametrize("prefix", ["TIDINGS", "SVIX"])
def test_the_proxy_settings_are_read_under_both_prefixes(prefix: str) -> None:
    settings = load(
        {
            f"{prefix}_PROXY_ADDR": "socks5://user:pass@proxy:1080",
            f"{prefix}_NOPROXY": "10.0.0.0/8, .example.com,[::1]",
        }
    )

    assert settings.proxy_addr == "socks5://user:pass@proxy:1080"
    assert Proxy.of(settings.proxy_addr, settings.noproxy).bypass.covers("::1")
    assert Proxy.of(settings.proxy_addr, settings.noproxy).bypass.covers("a.example.com")


def test_without_the_setting_there_is_no_proxy() -> None:
    assert (Settings().proxy_addr, Settings().noproxy) == (None, ())


@pytest.mark.parametrize(
    "url",
    [
        "socks4://user:hidden@proxy:1",
        "socks5h://user:hidden@proxy:1",
        "ftp://user:hidden@proxy",
        "user:hidden@proxy:80",
        "proxy:80",
        "http://",
        "http://user:hidden@proxy:port",
        "http://user:hidden@proxy:0",
        "http://user:hidden@[::1/",
        f"socks5://user:hidden{'x' * 255}@proxy",
    ],
)
def test_an_invalid_proxy_stops_the_start_and_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^proxy_addr") as refusal:
        load({"SVIX_PROXY_ADDR": url})

    assert "hidden" not in str(refusal.value)


def test_an_invalid_proxy_exception_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"^noproxy .*10\.0\.0\.0/40"):
        load({"SVIX_NOPROXY": "example.com,10.0.0.0/40"})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:hid@den@proxy:1", "http://user:********@proxy:1"),
        ("http://proxy:1", "http://proxy:1"),
        (None, "None"),
    ],
)
def test_the_settings_are_shown_without_the_password(url: str | None, shown: str) -> None:
    assert shown == Settings(proxy_addr=url).masked()["proxy_addr"]


async def test_messages_are_sent_through_the_configured_proxy(sqlite_url: str) -> None:
    db = await opened(sqlite_url)
    await migrate(db)
    app = await add_app(db)
    async with Receiver() as receiver, HttpProxy(user="us:er") as proxy:
        await add_endpoint(db, app, receiver.url)
        async with running(db, delivering=terms(proxy=Proxy.of(proxy.address))) as path:
            await path.send(app)
            await path.settled()
            attempts = await path.rows("SELECT status, response_status_code FROM attempt")
    await db.close()

    assert attempts == [(0, 200)]
    assert proxy.asked == [("127.0.0.1", receiver.port)]
