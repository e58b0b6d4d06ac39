# SPDX-License-Identifier: MIT
"""Addresses of endpoints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.model.url import InvalidUrl, normalize_url

AS_THEY_ARE = [
    "http://localhost/webhook/receiver",
    "https://user:pass@example.com/",
    "https://example.com/A/b?Q=1&q=%20#x",
    "http://10.0.0.1:8080/in",
    "http://[::1]:9000/",
    "http://ex_ample.com/",
    "https://example.com/?a=[]{}|",
    "https://example.com/caf%C3%A9",
]
NORMAL = [
    ("http://example.com", "http://example.com/"),
    ("HTTP://Example.COM:80/A/b", "http://example.com/A/b"),
    ("https://example.com:443", "https://example.com/"),
    ("https://example.com:0443/", "https://example.com/"),
    ("http://example.com:/", "http://example.com/"),
    (" http://example.com/ ", "http://example.com/"),
    ("http:\\\\example.com\\a", "http://example.com/a"),
    ("https:example.com", "https://example.com/"),
    ("http:///example.com", "http://example.com/"),
    ("http://example.com/a/../b/./c/..", "http://example.com/b/"),
    ("http://example.com/%2e%2E/b", "http://example.com/b"),
    ("http://example.com?x", "http://example.com/?x"),
    ("http://example.com/a b?c d#e f", "http://example.com/a%20b?c%20d#e%20f"),
    ("http://example.com/?a='b'", "http://example.com/?a=%27b%27"),
    ("https://bücher.de/ü", "https://xn--bcher-kva.de/%C3%BC"),
    ("http://ex%61mple.com", "http://example.com/"),
    ("http://x@y@example.com", "http://x%40y@example.com/"),
    ("http://user:@example.com", "http://user@example.com/"),
    ("http://@example.com", "http://example.com/"),
    ("http://2130706433", "http://127.0.0.1/"),
    ("http://0x7f.1", "http://127.0.0.1/"),
    ("http://0177.0.0.01", "http://127.0.0.1/"),
    ("http://[0:0::0:1]", "http://[::1]/"),
    # Numbers of IPv4 addresses: one to four, decimal, octal or hexadecimal.
    ("http://127.1", "http://127.0.0.1/"),
    ("http://0X7F.1", "http://127.0.0.1/"),
    ("http://017700000001", "http://127.0.0.1/"),
    ("http://2130706433.", "http://127.0.0.1/"),
    ("http://4294967295", "http://255.255.255.255/"),
    ("http://1.16777215", "http://1.255.255.255/"),
    ("http://0x", "http://0.0.0.0/"),
    ("http://foo.0x4x", "http://foo.0x4x/"),
    ("http://%31%32%37.1", "http://127.0.0.1/"),
    # International domain names: mapped before they are read as numbers.
    ("http://①②⑦.1", "http://127.0.0.1/"),
    ("http://１２７。０｡０．１", "http://127.0.0.1/"),  # noqa: RUF001 - full-width digits are under test
    ("http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "http://localhost/"),
    ("http://lo\u00adcal\u200bhost", "http://localhost/"),
    ("http://ÜBER.de", "http://xn--ber-goa.de/"),
    ("http://%c3%bc.de", "http://xn--tda.de/"),
    ("http://XN--BCHER-KVA.de", "http://xn--bcher-kva.de/"),
    ("http://" + "%c3%bc." * 126 + "de", "http://" + "xn--tda." * 126 + "de/"),
    ("http://💩.la", "http://xn--ls8h.la/"),
    ("http://K.com", "http://k.com/"),  # the Kelvin sign
    # IPv6 addresses.
    ("http://[::127.0.0.1]", "http://[::7f00:1]/"),
    ("http://[::FFFF:127.0.0.1]", "http://[::ffff:7f00:1]/"),
    ("http://[2001:0DB8:0:0:0:0:0:1]", "http://[2001:db8::1]/"),
    # Where the host ends and what is user, password and port.
    ("http://a@b@c", "http://a%40b@c/"),
    ("http://127.0.0.1:80@b", "http://127.0.0.1:80@b/"),
    ("http://169.254.169.254#@a", "http://169.254.169.254/#@a"),
    ("http://a?@b", "http://a/?@b"),
    ("http://a\\@b", "http://a/@b"),
    ("http:\\\\a/\\b", "http://a//b"),
    ("http:/a", "http://a/"),
    ("http://a:65535", "http://a:65535/"),
    ("http://a:00080", "http://a/"),
    ("http://ü:ü;@a", "http://%C3%BC:%C3%BC%3B@a/"),
    ("http://::@a", "http://:%3A@a/"),
    # Paths.
    ("http://a/..//b", "http://a//b"),
    ("http://a/b/../../c", "http://a/c"),
    ("http://a/.%2E/b", "http://a/b"),
    ("http://a/b%5c..%2fc", "http://a/b%5c..%2fc"),
    ("http://a/%zz", "http://a/%zz"),
]
WRONG = [
    "invalid url",
    "",
    "//example.com",
    "https://[127.0.0.1]",
    "https://[::1%lo]",
    "https://::1",
    "http://",
    "http://:80",
    "http://[::1",
    "http://[::1]x",
    "http://a b/",
    "http://a%00b/",
    "http://a$b/",
    "http://example.com:65536",
    "http://example.com:8o",
    "http://example.com:\uff11",
    "http://999.1.1.1",
    "http://1.2.3.4.5",
    "http://09.1",
    "http://a\nb.com",
    "http://example.com/\x7f",
    "http://straße.de",
    "http://" + "ü" * 64 + ".de",
    "http://example.com/" + "a" * 65_536,
    "http://256.1",
    "http://4294967296",
    "http://1.16777216",
    "http://foo.09",
    "http://foo.0x4",
    "http://1.2.3.08",
    "http://1.2.3.4..1",
    "http://.",
    "http://%2e%2E",
    "http://.a",
    "http://a..b",
    "http://127.0.0.1..",
    "http://a\tb",
    "\thttp://a",
    "http://a/\r\nb",
    "ht\ntp://a",
    "http:// a",
    "http://a%09b",
    "http://a%20b",
    "http://a%2fb",
    "http://a%5cb",
    "http://a%40b",
    "http://a%3a80",
    "http://a%25b",
    "http://a%",
    "http://a%c3",
    "http://％００a",  # noqa: RUF001 - as above
    "http://a／b",  # noqa: RUF001 - as above
    "http://a<b",
    "http://a|b",
    "http://a^b",
    "http://faß.de",
    "http://fa%c3%9f.de",
    "http://a\u200db",
    "http://xn--",
    "http://xn--a",
    "http://xn--zn7c.com",
    "http://" + "a" * 64 + ".de",
    "http://\u202ea",
    "http://[::1%25lo]",
    "http://[fe80::1%eth0]",
    "http://[1::1::1]",
    "http://[1:2:3:4:5:6:7]",
    "http://[::127.0.0.01]",
    "http://[::0x7f.1]",
    "http://[%3a%3a1]",
    "http://[v1.x]",
    "http://[]",
    "http://user@",
    "http://a:-1",
    "http://a:+80",
    "http://a:80:90",
    "http://a:%38%30",
    "http://a/\ud800",
    "http://\udcff",
]


@pytest.mark.parametrize("url", AS_THEY_ARE)
def test_a_normalized_url_is_unchanged(url: str) -> None:
    assert url == normalize_url(url)


@pytest.mark.parametrize(("url", "expected"), NORMAL)
def test_a_url_is_normalized(url: str, expected: str) -> None:
    assert expected == normalize_url(url)


@pytest.mark.parametrize("url", WRONG)
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl) as wrong:
        normalize_url(url)

    assert not wrong.value.is_scheme


@pytest.mark.parametrize("host", ["".join(map(chr, range(0x4E00, 0x4E00 + 1_025))), "\u0301\u0316" * 30_000])
def test_a_host_that_would_take_long_to_convert_is_refused_unread(host: str) -> None:
    with pytest.raises(InvalidUrl, match="too long a host"):
        normalize_url(f"http://user@{host}/")


@pytest.mark.parametrize("url", ["ftp://example.com", "javascript:1", "file:///etc/passwd", "ws://example.com"])
def test_other_schemes_are_refused_and_named(url: str) -> None:
    with pytest.raises(InvalidUrl, match="Endpoint URL schemes must be http or https") as wrong:
        normalize_url(url)

    assert wrong.value.is_scheme


@given(st.text(max_size=30), st.text(max_size=30))
def test_normalization_is_idempotent_and_gives_printable_ascii(host: str, rest: str) -> None:
    try:
        once = normalize_url(f"http://{host}/{rest}")
    except InvalidUrl:
        return

    assert once == normalize_url(once)
    assert once.isascii()
    assert once.isprintable()
    assert " " not in once
