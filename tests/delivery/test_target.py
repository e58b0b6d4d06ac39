# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.delivery.target import RequestTarget, compile_target


def request_of(target: RequestTarget) -> list[bytes]:
    head, _, _ = target.request("msg_1", 7, b"v1,A", b"{}").partition(b"\r\n\r\n")
    return head.split(b"\r\n")


def lines_of(url: str, headers: dict[str, str] | None = None, *, whitelabel: bool = False) -> list[bytes]:
    return request_of(compile_target(url, version="1", headers=headers, whitelabel=whitelabel))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://h", b"/"),
        ("http://h?a=1", b"/?a=1"),
        ("http://h/a/b?c=d&e=f#g", b"/a/b?c=d&e=f"),
        ("http://h/%2e%20/é", b"/%2e%20/%C3%A9"),
        ('http://h/"<>`{}?"<>\'', b"/%22%3C%3E%60%7B%7D?%22%3C%3E%27"),
        ("http://h/a b", b"/a%20b"),
        ("http://h\\@x\\y/", b"/@x/y/"),
    ],
)
def test_path_and_query_are_encoded_as_browsers_encode_them(url: str, path: bytes) -> None:
    assert lines_of(url)[0] == b"POST %b HTTP/1.1" % path


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Example.COM/", b"example.com"),
        ("http://example.com:80/", b"example.com"),
        ("https://example.com:443/", b"example.com"),
        ("https://example.com:80/", b"example.com:80"),
        ("http://example.com:8080/", b"example.com:8080"),
        ("http://user:pass@example.com/", b"example.com"),
        ("http://[2001:DB8::1]:8080/", b"[2001:db8::1]:8080"),
        ("http://bücher.example/", b"xn--bcher-kva.example"),
        ("http://１２７。１/", b"127.0.0.1"),  # noqa: RUF001 - full-width digits are under test
    ],
)
def test_the_host_header_has_the_port_unless_it_is_the_default(url: str, host: bytes) -> None:
    assert lines_of(url)[1] == b"Host: " + host


def test_all_urls_of_one_origin_have_one_pool_key() -> None:
    one = compile_target("https://Example.com/a", version="1")
    same = compile_target("https://example.com:443/b", version="1")
    other = compile_target("http://example.com:443/b", version="1")

    assert one.origin == same.origin != other.origin
    assert (one.scheme, one.host, one.port) == ("https", "example.com", 443)


@pytest.mark.parametrize(
    ("userinfo", "value"),
    [
        ("test:123", b"dGVzdDoxMjM="),
        ("test:", b"dGVzdDo="),
        (":123", b"OjEyMw=="),
        ("test%3D%3D:123%3D%3D", b"dGVzdD09OjEyMz09"),
        ("test==:123==", b"dGVzdD09OjEyMz09"),
        ("test", b"dGVzdDo="),
    ],
)
def test_userinfo_becomes_basic_authorization(userinfo: str, value: bytes) -> None:
    assert lines_of(f"http://{userinfo}@h/")[-1] == b"Authorization: Basic " + value


def test_a_custom_authorization_replaces_userinfo() -> None:
    lines = lines_of("http://a:b@h/", {"authorization": "Bearer x"})

    assert [line for line in lines if line.lower().startswith(b"authorization")] == [b"authorization: Bearer x"]


def test_custom_headers_come_last_exactly_as_configured() -> None:
    lines = lines_of("http://h/", {"X-Ünicode".replace("Ü", "U"): "ü 1", "x-EMPTY": "", "accept": "text/plain"})

    assert lines[-3:] == [b"X-Unicode: \xc3\xbc 1", b"x-EMPTY: ", b"accept: text/plain"]
    assert b"Accept: */*" not in lines


def test_a_custom_host_header_is_sent_first() -> None:
    lines = lines_of("http://h/", {"X-A": "1", "HOST": "other"})

    assert lines[1] == b"HOST: other"
    assert sum(line.lower().startswith(b"host:") for line in lines) == 1


def test_whitelabel_header_names_replace_the_default_ones() -> None:
    lines = lines_of("http://h/", whitelabel=True)

    assert lines[5:8] == [b"webhook-id: msg_1", b"webhook-timestamp: 7", b"webhook-signature: v1,A"]
    assert not any(b"svix-" in line for line in lines)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "TE", "Upgrade", "Svix-Signature", "svix-id"])
def test_framing_and_signature_headers_cannot_be_configured(name: str) -> None:
    assert lines_of("http://h/", {name: "1"}) == lines_of("http://h/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "//h/",
        "ftp://h/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://h\r\n/",
        "http://h/\x00",
        "http://h%00/",
        "http://./",
        "http://.h/",
        "http://[::1%25eth0]/",
        "http://[::1/",
        "http://" + "é" * 70 + "/",
    ],
)
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_target(url, version="1")


@given(name=st.text(max_size=8), value=st.text(max_size=8))
def test_no_header_value_adds_a_line_to_the_head(name: str, value: str) -> None:
    try:
        lines = lines_of("http://h/", {"x" + name: value})
    except ValueError:
        return

    assert len(lines) == len(lines_of("http://h/")) + 1
    assert not any(byte < 32 and byte != 9 for line in lines for byte in line)


@given(url=st.text(max_size=12).map(lambda text: "http://h/" + text))
def test_no_url_adds_a_line_to_the_head(url: str) -> None:
    try:
        lines = lines_of(url)
    except ValueError:
        return

    assert lines[1:] == lines_of("http://h/")[1:]
    assert lines[0].count(b" ") == 2


def test_a_header_name_is_sent_once_whatever_its_case() -> None:
    lines = lines_of(
        "http://h", {"Host": "a", "x-a": "1", "host": "b", "X-A": "2", "USER-AGENT": "u", "User-Agent": "v"}
    )

    names = [line.partition(b":")[0].lower() for line in lines[1:]]
    assert len(names) == len(set(names))
    assert {b"host: b", b"X-A: 2", b"User-Agent: v"} <= set(lines)


@pytest.mark.parametrize(
    "name", ["Connection", "Keep-Alive", "proxy-connection", "Expect", "Trailer", "HTTP2-Settings"]
)
def test_connection_headers_are_not_sent(name: str) -> None:
    assert lines_of("http://h") == lines_of("http://h", {name: "x"})
