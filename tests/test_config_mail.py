# SPDX-License-Identifier: MIT
"""The settings of mails: what is refused, and that the password is never shown."""

from typing import Any

import pytest

from tidings import config
from tidings.settings import ConfigError, Settings

OPS = ("ops@example.com",)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mail.example.com:25", "scheme"),
        ("http://mail.example.com", "scheme"),
        ("smtp://", "scheme"),
        ("smtp://mail.example.com:0", "scheme"),
        ("smtp://mail.example.com:port", "scheme"),
        ("smtps://user:pa/ss@mail.example.com", "percent-encode"),
        ("smtps://mail.example.com/?a=b", "percent-encode"),
        ("smtp://user:hunter2@mail.example.com", "in the clear"),
        ("smtp://user:hunter2@10.0.0.1", "in the clear"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"smtp_url .*{reason}") as raised:
        Settings(smtp_url=url, notify_email=OPS)

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "smtp://mail.example.com",
        "smtp://user:hunter2@127.0.0.1:2525",
        "smtp://user:hunter2@[::1]",
        "smtp://user:hunter2@localhost",
        "smtps://user:hunter2@mail.example.com",
        "starttls://user:hunter2@mail.example.com:587",
    ],
)
def test_a_mail_server_is_accepted_and_its_password_masked(url: str) -> None:
    found = Settings(smtp_url=url, notify_email=OPS)

    assert "hunter2" not in str(found.masked())
    assert ("hunter2" in found.secret_texts()) == ("hunter2" in url)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ops",
        "Ops <ops@example.com>",
        "a@b@c",
        "a b@example.com",
        "ops@example.com\r\nBcc: x@example.com",
        "ops@exämple.com",
        "ops@-",
        f"{'a' * 250}@b.de",
    ],
)
@pytest.mark.parametrize("name", ["notify_email", "notify_from"])
def test_an_address_that_is_none_is_refused(name: str, address: str) -> None:
    given: dict[str, Any] = {"smtp_url": "smtp://mail", "notify_email": OPS}
    with pytest.raises(ConfigError, match=name):
        Settings(**given | {name: (address,) if name == "notify_email" else address})


def test_the_number_of_addresses_is_bounded() -> None:
    with pytest.raises(ConfigError, match="at most 20"):
        Settings(smtp_url="smtp://mail", notify_email=OPS * 21)


@pytest.mark.parametrize("given", [{"smtp_url": "smtp://mail"}, {"notify_email": OPS}])
def test_a_server_and_addresses_need_each_other(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="need each other"):
        Settings(**given)


def test_the_addresses_come_from_a_variable() -> None:
    found = config.load({"TIDINGS_SMTP_URL": "smtp://mail", "TIDINGS_NOTIFY_EMAIL": "a@example.com, b@example.com"})

    assert ("a@example.com", "b@example.com") == found.notify_email
