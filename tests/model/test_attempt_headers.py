# SPDX-License-Identifier: MIT
"""The recorded headers of an attempt: bounded, masked, and read as they were written."""

import pytest

from tidings.model.attempt_headers import (
    HEADERS_BYTES,
    MASK,
    AttemptHeaders,
    fitting,
    from_text,
    masked,
    to_text,
)


def test_headers_are_read_as_they_were_written() -> None:
    headers = AttemptHeaders(
        "svix", 17, "v1,a=", ("X-Key", "Ünïcode"), (("a", 'b"\0\n'), ("a", "c")), is_truncated=True
    )

    assert headers == from_text(to_text(headers))
    assert from_text(None) is None
    assert (("svix-id", "msg_1"), ("svix-timestamp", "17"), ("svix-signature", "v1,a=")) == headers.signed("msg_1")


def test_headers_that_do_not_fit_are_left_out() -> None:
    headers = [("a", "x" * 1_000), ("long", "y" * 100), ("b", "z" * 22), ("ü", "")]

    assert (((headers[0], headers[2])), True) == fitting(headers)
    assert (tuple(headers[2:]), False) == fitting(headers[2:])
    kept, _ = fitting([("é", "é" * 10)] * 1_000)
    assert HEADERS_BYTES >= sum(len((name + value).encode()) for name, value in kept) > HEADERS_BYTES - 22


@pytest.mark.parametrize(
    "name",
    ["set-cookie", "Set-Cookie2", "Authorization", "X-Api-Key", "x-apikey", "X-Amz-Security-Token", "x-session-id",
     "client-secret", "X-Password", "x-signature"],
)  # fmt: skip
def test_a_header_with_the_name_of_a_secret_is_masked(name: str) -> None:
    assert [(name, MASK)] == list(masked([(name, "value")], ()))


def test_a_configured_value_that_the_receiver_repeats_is_masked() -> None:
    configured = [("Authorization", "Bearer s3cr3t-value"), ("X-Tenant", " acme "), ("X-Flag", "1"), ("X-Empty", "")]
    received = [
        ("x-echo", "got Bearer s3cr3t-value!"),
        ("x-part", "s3cr3t-value"),
        ("x-tenant", "acme"),
        ("x-count", "1"),
        ("server", "nginx"),
    ]

    found = dict(masked(received, configured))

    assert {"x-echo": MASK, "x-part": MASK, "x-tenant": MASK, "x-count": "1", "server": "nginx"} == found
