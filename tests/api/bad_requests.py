# SPDX-License-Identifier: MIT
"""Invalid requests (bodies, names and queries) for each of two corners of the API."""

import json

from api.kit import Json

GOOD: Json = {"eventType": "a.b", "payload": {"a": 1}}
DEEP = b"[" * 100_000
HUGE = b"9" * 5_000

ABSENT_IDS = [
    "unknown",
    "app_" + "0" * 27,
    "ep_" + "z" * 27,
    "app_",
    "ep_",
    "%00",
    "%ED%A0%80",
    "%FF",
    "a%20b",
    "%0A",
    "..%2F..",
    "x" * 3_000,
    "'%20OR%201=1--",
    "ä",
]

# --- of applications, endpoints and event types

RESOURCE_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "no JSON": b"nonsense",
    "half an object": b'{"name": ',
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "a text": b'"text"',
    "not UTF-8": b'{"name": "\xff\xfe", "description": "\xff", "url": "http://\xff"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "depth": DEEP,
    "depth in a member": b'{"name": "a", "x": %b}' % (b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "huge numbers": (
        b'{"name": "a", "url": "http://a", "description": "", "headers": {}, "throttleRate": 1e999, "version": 1e999,'
        b' "gracePeriodSeconds": 1e999, "expiry": 1e999}'
    ),
    "long numbers": (
        b'{"name": "a", "url": "http://a", "description": "", "headers": {}, "throttleRate": %b, "version": %b,'
        b' "gracePeriodSeconds": %b, "expiry": %b}' % ((b"9" * 5000,) * 4)
    ),
    "negative numbers": (
        b'{"name": "a", "url": "http://a", "description": "", "headers": {}, "throttleRate": -1, "version": -1,'
        b' "gracePeriodSeconds": -1, "expiry": -1}'
    ),
    "fractions": b'{"name": "a", "url": "http://a", "throttleRate": 1.5, "gracePeriodSeconds": 1.5, "expiry": 1.5}',
    "a text too long": json.dumps(dict.fromkeys(("name", "url", "uid", "key", "groupName"), "x" * 300000)).encode(),
    "control characters": (
        b'{"name": "\\u0001", "url": "http://a\\u0000b", "description": "\\u0008", "headers": {"a\\u0000": "b\\u0000"},'
        b' "uid": "\\u0000", "key": "\\u0000", "schemas": {"\\u0000": {"title": "\\u0000"}}, "sessionId": "\\u0000",'
        b' "metadata": {"\\u0000": "\\u0000"}}'
    ),
    "raw control characters": b'{"name": "a\x00b", "description": "\x01", "url": "http://a\x00"}',
    "lone surrogates": (
        b'{"name": "\\ud800", "url": "http://\\ud800", "description": "\\ud800", "headers": {"a": "\\udfff"},'
        b' "uid": "\\ud800", "key": "whsec_\\ud800", "metadata": {"\\ud800": "\\ud800"}, "sessionId": "\\ud800"}'
    ),
    "members of other types": json.dumps(
        {
            name: [{}]
            for name in (
                *("name", "uid", "url", "description", "disabled", "metadata", "channels", "headers", "throttleRate"),
                *("key", "gracePeriodSeconds", "schemas", "featureFlags", "expiry", "application", "capabilities"),
                *("eventTypes", "archived", "sessionIds", "deleteHeaders", "readOnly", "secret", "version"),
            )
        }
    ).encode(),
    "too many": json.dumps(
        {"url": "http://a", "eventTypes": [f"t{n}" for n in range(20_000)], "channels": [f"c{n}" for n in range(9_999)]}
    ).encode(),
    "3 MB": b'{"name": "%b"}' % (b"x" * 3_000_000),
}
RESOURCE_QUERIES = [
    "limit=0&x=1",
    "limit=99999999999999999999999999",
    "limit=-1",
    "iterator=%00",
    "iterator=app_%ED%A0%80",
    "iterator=-",
    "order=sideways",
    "get_if_exists=maybe&include_archived=maybe&expunge=maybe&exclude_apps_with_no_endpoints=maybe",
    "since=never&until=never",
    "since=99999-01-01T00:00:00Z",
    "since=0001-01-01T00:00:00Z&until=0001-01-01T00:00:00Z",
    "limit=1&limit=2&iterator=a&iterator=b&expunge=true&expunge=true&since=x&since=y",
    "%FF=%FF",
    "&".join(f"a{n}=1" for n in range(1_500)),
]


# --- of connectors

_SCRIPT = b'"name": "n", "transformation": "function handler(webhook) { return webhook; }"'
CONNECTOR_BODIES: dict[str, bytes] = {
    **{name: RESOURCE_BODIES[name] for name in ("nothing", "no JSON", "half an object", "a list", "null", "depth")},
    "not UTF-8": b'{"name": "\xff", "transformation": "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}',
    "a script of another type": b'{"name": "n", "transformation": ["function handler"]}',
    "lone surrogates": b'{%b, "instructions": "\\ud800", "description": "\\udfff"}' % _SCRIPT,
    "a lone surrogate in the script": b'{"name": "n", "transformation": "function handler() { // \\ud800"}',
    "control characters": b'{%b, "description": "\\u0000", "allowedEventTypes": ["\\u0000"]}' % _SCRIPT,
    "members of other types": json.dumps(
        {
            name: [{}]
            for name in (
                *("name", "uid", "logo", "description", "kind", "instructions", "transformation", "productType"),
                *("allowedEventTypes", "featureFlags"),
            )
        }
    ).encode(),
    "too many": json.dumps(
        {
            "name": "n",
            "transformation": "function handler(webhook) { return webhook; }",
            "allowedEventTypes": [f"t{number}" for number in range(20_000)],
        }
    ).encode(),
    "3 MB": b'{"name": "n", "transformation": "%b"}' % (b"x" * 3_000_000),
}


# --- of messages and attempts


def _with(**members: object) -> bytes:
    return json.dumps({**GOOD, **members}).encode()


def _message_with(name: str, value: bytes) -> bytes:
    """Return a body with a member that JSON's own writer would not write."""
    return b'{"eventType":"a.b","payload":{"a":1},"%b":%b}' % (name.encode(), value)


MESSAGE_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "no JSON": b"nonsense",
    "half an object": b'{"eventType": ',
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b'{"eventType":"a","payload":{"\xff":1},"ids":["\xff"]}',
    "not UTF-8 in an ignored member": _message_with("unknown", b'"\xff"').replace(b"a.b", b"a b"),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "depth": b"[" * 100_000,
    "depth in the payload": _message_with("x", b"[" * 5_000 + b"]" * 5_000),
    "a payload of another type": _with(payload="text"),
    "half a payload": b'{"eventType":"a.b","payload":{"a":',
    "both payloads": _with(data={}),
    "huge numbers": _message_with("payloadRetentionPeriod", b"1e999"),
    "long numbers": _message_with("payloadRetentionHours", HUGE),
    "a negative number": _with(payloadRetentionPeriod=-1, exampleIndex=-1),
    "fractions": _with(payloadRetentionHours=1.5, exampleIndex=1.5),
    "truth for a number": _with(payloadRetentionPeriod=True, exampleIndex=True),
    "control characters": _with(eventType="a\0b", eventId="\0", channels=["\0"], tags=["\1"], ids=["\0"]),
    "lone surrogates": _with(eventType="\ud800", eventId="\ud800", tags=["\udfff"], ids=["\ud800"]),
    "lone surrogates in a raw payload": _with(transformationsParams={"rawPayload": "\ud800"}, eventType="a b"),
    "too long": _with(eventType="x" * 300, eventId="x" * 300, channels=["x" * 300], tags=["x" * 300], ids=["x" * 300]),
    "too many": _with(
        channels=[f"c{n}" for n in range(9_999)], tags=["a"] * 9_999 + ["b", "c", "d", "e", "f"], ids=[""]
    ),
    "members of other types": _with(
        **dict.fromkeys(("eventType", "payload", "eventId", "channels", "tags", "deliverAt", "application", "ids"), 7)
    ),
    "nulls": _with(eventType=None, payload=None, ids=None),
    "an invalid timestamp": _with(deliverAt="soon", eventType="a b"),
    "a timestamp outside of the calendar": _with(deliverAt="9999-12-31T23:59:59.999Z", eventType="a b"),
    "an application that is none": _with(application={"name": ""}, eventType="a b"),
    "3 MB": b'{"eventType":"%b"}' % (b"x" * 3_000_000),
}
MESSAGE_QUERIES = [
    "limit=0",
    "limit=99999999999999999999999999",
    "limit=-1",
    "iterator=%00",
    "iterator=msg_%ED%A0%80",
    "iterator=-",
    "iterator=msg_zzzzzzzzzzzzzzzzzzzzzzzzzzz&limit=1",
    "status=sending&status_code_class=all&with_content=1&with_msg=1&expanded_statuses=1",
    "status=99999999999999999999999",
    "before=never&after=never",
    "before=99999-01-01T00:00:00Z",
    "before=0001-01-01T00:00:00Z&after=0001-01-01T00:00:00Z",
    "before=9999-12-31T23:59:59Z&after=9999-12-31T23:59:59Z",
    "channel=%00&tag=%00&event_types=%00&endpoint_id=%00",
    "channel=%22%25_&tag=%5C&event_types=a,,b&endpoint_id=x",
    "event_types=" + "x" * 3_000,
    "event_types=" + ",".join(f"t{n}" for n in range(5_000)),
    "limit=1&limit=2&status=0&status=2",
    "%FF=%FF",
    "&".join(f"a{n}=1" for n in range(1_500)),
]
