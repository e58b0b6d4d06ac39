# SPDX-License-Identifier: MIT
"""`tidings config --toml` prints a file that gives the same settings; secrets are shown only on request."""

import dataclasses
import ipaddress
import string
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.command import tidings
from live import SECRET
from tidings import dsn
from tidings.cli.config_text import toml_lines
from tidings.config import load
from tidings.settings import ConfigError, Settings

TYPES: Final = get_type_hints(Settings)
_TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda text: all(character >= " " or character in "\n\r\t" for character in text)
)
_PASSWORD: Final = st.text(string.ascii_letters + string.digits + "!$*-_.~\"'\\\\", min_size=1, max_size=20)
KNOWN: Final[dict[str, st.SearchStrategy[Any]]] = {
    "listen_address": st.sampled_from(["127.0.0.1:0", "[::1]:8071", "0.0.0.0:65535"]),
    "db_dsn": st.one_of(
        st.sampled_from(["sqlite:///a b#c.db", "sqlite:////x/\u00e9.db?mode=rw", "postgresql://h/d"]),
        _PASSWORD.map(lambda word: f"postgres://u:{word.replace(chr(39), '').replace(chr(92), '')}@h:5/d"),
    ),
    "environment": st.sampled_from(["dev", "staging"]),
    "jwt_algorithm": st.sampled_from(["HS256", "HS512"]),
    "default_signature_type": st.sampled_from(["hmac256", "ed25519"]),
    "workers": st.just("1"),
    "app_portal_url": _TEXT.map("https://".__add__),
    "log_level": st.sampled_from(["error", "warning", "info", "debug"]),
    "log_format": st.sampled_from(["default", "json"]),
    "proxy_addr": st.sampled_from(["http://u:p%40ss@h:1", "socks5://h:2"]),
    "noproxy": st.lists(st.sampled_from(["a.example", "10.0.0.0/8", ".b"]), max_size=3).map(tuple),
    "proxy_resolves_names": st.just(value=False),
    "whitelist_subnets": st.lists(
        st.sampled_from([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fc00::/7")]), max_size=3
    ).map(tuple),
}
"""The settings that take only some texts. Any other setting gets any value of its type."""


def _values(name: str) -> st.SearchStrategy[Any]:
    bounds = next(each.metadata["bounds"] for each in dataclasses.fields(Settings) if each.name == name)
    least, most = bounds or (0, 10)
    whole = st.integers(int(least), int(most))
    by_type: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: whole,
        float: st.floats(least, most),
        tuple[int, ...]: st.lists(whole, max_size=5).map(tuple),
    }
    return KNOWN.get(name, by_type.get(TYPES[name], _TEXT))


@given(st.fixed_dictionaries({}, optional={name: _values(name) for name in TYPES}))
def test_the_printed_file_gives_the_same_settings(given: dict[str, Any]) -> None:
    try:
        settings = Settings(**given)
    except ConfigError:  # two settings that exclude each other
        return
    lines = list(toml_lines(settings, dict.fromkeys(TYPES, "a\nsource"), show_secrets=True))
    assert len(TYPES) == len(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.toml"
        path.write_text("\n".join(lines), newline="")
        assert settings == load({}, file=path)

    masked = "\n".join(toml_lines(settings, dict.fromkeys(TYPES, "x"), show_secrets=False))
    assert {} == {name: value for name, value in tomllib.loads(masked).items() if "secret" in name}


def test_a_masked_file_can_be_read_and_names_what_is_missing(tmp_path: Path) -> None:
    url = "postgresql://u:hunter2@h/d?sslpassword=hunter2"
    given = {"db_dsn": url, "jwt_secret": SECRET, "proxy_addr": "http://me:hunter2@proxy:3128"}

    masked = tidings("config", "--toml", folder=tmp_path, **given)
    shown = tidings("config", "--toml", "--show-secrets", folder=tmp_path, **given)
    plain = tidings("config", folder=tmp_path, **given)

    for result in (masked, plain):
        assert "hunter2" not in result.out
        assert SECRET not in result.out
        assert "postgresql://u:********@h/d?sslpassword=********" in result.out
        assert "http://me:********@proxy:3128" in result.out
    assert {} == {name: value for name, value in tomllib.loads(masked.out).items() if name in given}
    assert given == {name: value for name, value in tomllib.loads(shown.out).items() if name in given}
    assert '# jwt_secret = "********"  # TIDINGS_JWT_SECRET; masked: --show-secrets prints the value' in masked.out
    assert 2 == tidings("config", "--show-secrets", folder=tmp_path).code


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:pw@h:1,i:2/d", "postgresql://u:*@h:1,i:2/d"),
        ("postgres://u:pw@/d?host=/run&password=pw", "postgres://u:*@/d?host=/run&password=*"),
        ("postgresql:///d?sslpassword=pw&pass%77ord=pw&sslmode=require", None),
        ("postgresql://u@h/d?passfile=/p", "postgresql://u@h/d?passfile=/p"),
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgresql://u:p@w/pw?pw#pw@h/d", "postgresql://u:*@h/d"),
        ("postgresql://u:pw?x=pw@h/d", "postgresql://u:*@h/d"),
        ("postgresql://u:p%40w@[::1]:5/d", "postgresql://u:*@[::1]:5/d"),
        ("postgresql://h/d?user=u@x&password=a@pw", "postgresql://h/d?user=u@x&password=*"),
        ("sqlite:////a/password=x@y.db", "sqlite:////a/password=x@y.db"),
        ("socks5://me:pw@h:1", "socks5://me:*@h:1"),
        ("text with pw", "text with pw"),
    ],
)
def test_only_the_password_of_a_url_is_masked(url: str, shown: str | None) -> None:
    expected = "postgresql:///d?sslpassword=*&pass%77ord=*&sslmode=require" if shown is None else shown
    assert expected.replace("*", dsn.MASK) == dsn.masked(url)
