# SPDX-License-Identifier: MIT
"""The recorded headers of an attempt: bounded, masked, and read as they were written."""

import json

import pytest

from tidings.model.attempt_headers import (
    HEADERS_BYTES,
    MASK,
    METHODS,
    AttemptHeaders,
    block_of,
    configured,
    encoded,
    fitting,
    from_text,
    is_plain,
    masked,
    to_text,
)


def test_headers_are_read_as_they_were_written() -> None:
    names, received = ("X-Key", "Ünïcode"), (("a", 'b"\0\x01'), ("a", "c"))
    headers = AttemptHeaders("svix", 17, "v1,a=", names, received, is_truncated=True)

    found = from_text(to_text(headers))

    assert headers == found
    assert from_text(None) is None
    assert (("svix-id", "msg_1"), ("svix-timestamp", "17"), ("svix-signature", "v1,a=")) == found.signed("msg_1")


@pytest.mark.parametrize("is_truncated", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_the_method_is_stored_so_that_older_nodes_read_the_rest(method: str, *, is_truncated: bool) -> None:
    text = to_text(AttemptHeaders("svix", 17, "v1,a=", (), (), is_truncated, method))

    found = from_text(text)

    assert found is not None
    assert (method, is_truncated) == (found.method, found.is_truncated)
    assert is_truncated == (json.loads(text)[5] > 0), "as a node of 0.1.0 reads it"
    assert 6 == len(json.loads(text))


def test_lines_are_split_into_names_and_values() -> None:
    found = from_text(encoded("svix", 1, "", (), "A:1\r\nB : 2 \r\n 3\r\nno header\r\nC:", is_truncated=False))

    assert found is not None
    assert (("A", "1"), ("B", "2  3"), ("C", "")) == found.response


def test_headers_that_do_not_fit_are_left_out() -> None:
    headers = [("a", "x" * 1_000), ("long", "y" * 100), ("b", "z" * 8), ("ü", "")]

    assert ((headers[0], *headers[2:]), True) == fitting(headers)
    assert (tuple(headers[2:]), False) == fitting(headers[2:])
    kept, _ = fitting([("é", "é" * 10)] * 1_000)
    assert HEADERS_BYTES >= len(block_of(kept).encode()) > HEADERS_BYTES - 30


@pytest.mark.parametrize(
    "name",
    ["set-cookie", "Set-Cookie2", "Authorization", "X-Api-Key", "x-apikey", "X-Amz-Security-Token", "x-session-id",
     "client-secret", "X-Password", "x-signature"],
)  # fmt: skip
def test_a_header_with_the_name_of_a_secret_is_masked(name: str) -> None:
    assert [(name, MASK)] == list(masked([(name, "value")], ()))
    assert not is_plain(f"{name}: value".encode(), ())


def test_a_configured_value_that_the_receiver_repeats_is_masked() -> None:
    own = (("Authorization", "Bearer s3cr3t-value"), ("X-Tenant", " acme "), ("X-Flag", "1"), ("X-Empty", ""))
    received = [
        ("x-echo", "got Bearer s3cr3t-value!"),
        ("x-part", "s3cr3t-value"),
        ("x-tenant", "acme"),
        ("x-count", "1"),
        ("server", "nginx"),
    ]

    secrets = configured(own).secrets
    found = dict(masked(received, secrets))

    assert {"x-echo": MASK, "x-part": MASK, "x-tenant": MASK, "x-count": "1", "server": "nginx"} == found
    assert [False, False, False, True, True] == [is_plain(block_of([each]).encode(), secrets) for each in received]


def test_long_headers_are_not_plain() -> None:
    assert is_plain(b"x" * HEADERS_BYTES, ())
    assert not is_plain(b"x" * (HEADERS_BYTES + 1), ())
    names = configured(tuple((f"X-{'n' * 30}-{number}", "v") for number in range(50)))
    assert names.is_truncated
    assert 20 < len(names.names) < 50
