# SPDX-License-Identifier: MIT
"""Each built-in connector makes a body that its product documents, of any event, in the real sandbox."""

import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tidings.core import built_in_connectors, operational
from tidings.ids import DEFAULT_ORG
from tidings.model.connector import INSTRUCTIONS_MAX, SCRIPT_MAX
from tidings.model.transformation import PAYLOAD_MAX, Script, ScriptError, Transformed, Webhook
from tidings.sandbox.pool import Sandbox, SandboxOptions
from tidings.sandbox.process import Limits

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

Json = dict[str, Any]
NAMES = [each.uid for each in built_in_connectors.every(DEFAULT_ORG)]
KEY = "0123456789abcdef0123456789ABCDEF"
URLS = {"tidings.pagerduty": f"https://events.pagerduty.com/v2/enqueue?routing_key={KEY}"}
ENDPOINT: Json = {"appId": "app_1", "appUid": "acme", "endpointId": "ep_1", "endpointUid": "billing"}
ATTEMPT: Json = {
    "appId": "app_1",
    "appUid": None,
    "endpointId": "ep_1",
    "msgId": "msg_1",
    "msgEventId": None,
    "lastAttempt": {"id": "atmpt_1", "responseStatusCode": 500, "timestamp": "2026-11-30T10:00:00.123Z"},
}
TASK: Json = {"taskId": "qtask_1", "task": "endpoint.recover", "status": "finished", "data": {"messages_sent": 3}}
FAILED: Json = {**ENDPOINT, "failSince": "2026-11-25T10:00:00Z"}
OPERATIONAL: dict[str, Json] = {
    "endpoint.failing": FAILED,
    "endpoint.recovered": ENDPOINT,
    "endpoint.disabling": {**FAILED, "disablesAt": "2026-11-30T12:30:00Z", "percent": 75},
    "endpoint.disabled": {**FAILED, "trigger": "automatic"},
    **dict.fromkeys(("endpoint.created", "endpoint.updated", "endpoint.deleted", "endpoint.enabled"), ENDPOINT),
    **{f"message.attempt.{name}": ATTEMPT for name in ("failing", "exhausted", "recovered")},
    "background_task.finished": TASK,
}
DEEP: Any = "end"
for _ in range(100):
    DEEP = {"a": DEEP, "b": [DEEP] if isinstance(DEEP, str) else []}
PAYLOADS: dict[str, Any] = {
    "an invoice": {"type": "invoice.paid", "data": {"id": "in_1", "amount": 12.5, "paid": True, "lines": [{"a": 1}]}},
    "nothing": {},
    "a list": [1, 2, 3],
    "a text": "plain text",
    "markup": {"a<b>&": "<!channel> @everyone [link](javascript:x) **bold** `code`", "message": "<@U1> & _x_"},
    "many": {f"member{number}": number for number in range(1000)},
    "long": {"x" * 500: "y" * 100_000, "message": "😀" * 5_000, "list": ["z" * 1000] * 5},
    "deep": DEEP,
    "odd": {"": "", "null": None, "__proto__": {"a": 1}, "constructor": "c", "toString": "t", "half": "\ud800"},
    "not operational": {"type": "endpoint.disabled", "data": "text"},
    "names of operational events": {"type": "toString", "data": {"endpointId": "ep_1"}},
    "a wrong operational event": {"type": "endpoint.disabled", "data": {"endpointId": "ep_1", "failSince": {"a": 1}}},
    "a large number": {"value": 12345678901234567890, "small": 1e-300},
}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(SandboxOptions(Limits(30.0)))
    yield made
    await made.close()


async def _sent(sandbox: Sandbox, name: str, event_type: str, payload: object) -> Transformed:
    connector = built_in_connectors.find(DEFAULT_ORG, name)
    assert connector is not None
    url = URLS.get(name, "https://example.com/hook")
    webhook = Webhook(url, event_type, json.dumps(payload).encode() if payload != "plain text" else b"plain text")
    return await sandbox.run("ep_1", Script(connector.transformation), webhook)


async def _operational(sandbox: Sandbox, name: str, event_type: str, **more: object) -> Any:
    payload = {"type": event_type, "data": {**OPERATIONAL[event_type], **more}}
    sent = await _sent(sandbox, name, event_type, payload)
    assert not sent.is_canceled
    return json.loads(sent.payload)


# --- the documented bodies of the products


def _is_slack(body: Json) -> None:
    """A message: text; attachments of blocks. A section has text of 3,000 or ten fields of 2,000 characters."""
    assert set(body) <= {"text", "attachments"}
    assert 0 < len(body["text"]) <= 3_000
    for attachment in body.get("attachments", []):
        assert re.fullmatch("#[0-9a-f]{6}", attachment["color"])
        assert 1 <= len(attachment["blocks"]) <= 50
        for block in attachment["blocks"]:
            assert "section" == block["type"]
            texts = block.get("fields", [block.get("text")])
            assert 1 <= len(texts) <= 10
            for text in texts:
                assert {"type", "text"} == set(text)
                assert "mrkdwn" == text["type"]
                assert 0 < len(text["text"]) <= (2_000 if "fields" in block else 3_000)
    for text in _texts(body):
        assert not re.search(r"<|>|&(?!amp;|lt;|gt;)", text), text


def _is_discord(body: Json) -> None:
    """A message with one embed: title 256, description 4,096, 25 fields of 256 and 1,024, all together 6,000."""
    assert {"embeds", "allowed_mentions"} == set(body)
    assert {"parse": []} == body["allowed_mentions"]
    [embed] = body["embeds"]
    assert set(embed) <= {"title", "description", "color", "fields"}
    assert 0 < len(embed["title"]) <= 256
    assert 0 <= embed["color"] <= 0xFFFFFF
    assert len(embed.get("description", "")) <= 4_096
    assert len(embed["fields"]) <= 25
    for field in embed["fields"]:
        assert {"name", "value", "inline"} == set(field)
        assert 0 < len(field["name"]) <= 256
        assert 0 < len(field["value"]) <= 1_024
    assert sum(map(len, _texts(embed))) <= 6_000


def _is_teams(body: Json) -> None:
    """A message with one adaptive card of at most 28 KiB."""
    assert {"type", "attachments"} == set(body)
    assert "message" == body["type"]
    [attachment] = body["attachments"]
    assert "application/vnd.microsoft.card.adaptive" == attachment["contentType"]
    assert attachment["contentUrl"] is None
    card = attachment["content"]
    assert ("AdaptiveCard", "1.4") == (card["type"], card["version"])
    assert len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")) <= 28 * 1024
    for element in card["body"]:
        assert element["type"] in ("Container", "RichTextBlock")
        for line in element.get("items", [element]):
            assert "RichTextBlock" == line["type"]
            assert all(run["type"] == "TextRun" and run["text"] for run in line["inlines"])


def _is_pagerduty(body: Json) -> None:
    """An event of the Events API v2."""
    assert set(body) <= {"routing_key", "event_action", "dedup_key", "payload"}
    assert re.fullmatch("[0-9A-Za-z]{32}", body["routing_key"])
    assert body["event_action"] in ("trigger", "resolve")
    assert len(body.get("dedup_key", "-")) <= 255
    alert = body["payload"]
    assert 0 < len(alert["summary"]) <= 1_024
    assert alert["source"]
    assert alert["severity"] in ("critical", "error", "warning", "info")
    assert isinstance(alert["custom_details"], dict)
    assert len(json.dumps(body)) <= 512 * 1024


def _is_json(body: Json) -> None:
    assert {"type", "level", "title", "text", "facts", "payload"} == set(body)
    assert body["level"] in ("error", "warning", "ok", "info")
    assert body["title"]
    assert all(isinstance(value, str) for value in body["facts"].values())


CHECKS = {
    "tidings.slack": _is_slack,
    "tidings.discord": _is_discord,
    "tidings.teams": _is_teams,
    "tidings.pagerduty": _is_pagerduty,
    "tidings.json": _is_json,
}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _texts(each)]


# --- tests


def test_every_built_in_connector_has_a_check() -> None:
    assert set(CHECKS) == set(NAMES)


def test_every_operational_event_of_the_service_has_an_example() -> None:
    assert set(operational.TYPES) <= set(OPERATIONAL)


@pytest.mark.parametrize("name", CHECKS)
async def test_any_event_is_a_body_that_the_product_documents(sandbox: Sandbox, name: str) -> None:
    for case, payload in PAYLOADS.items():
        event_type = payload.get("type", "any.event") if isinstance(payload, dict) else "any.event"
        sent = await _sent(sandbox, name, event_type, payload)
        assert (False, "POST") == (sent.is_canceled, sent.method), case
        assert len(sent.payload) <= PAYLOAD_MAX
        CHECKS[name](json.loads(sent.payload))


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("event_type", OPERATIONAL)
async def test_an_operational_event_is_a_body_that_the_product_documents(
    sandbox: Sandbox, name: str, event_type: str
) -> None:
    sent = await _sent(sandbox, name, event_type, {"type": event_type, "data": OPERATIONAL[event_type]})

    is_no_alert = event_type in ("endpoint.created", "endpoint.updated", "background_task.finished")
    assert sent.is_canceled == (name == "tidings.pagerduty" and is_no_alert)
    if not sent.is_canceled:
        CHECKS[name](json.loads(sent.payload))


SENTENCES = {
    "endpoint.failing": ("error", "Endpoint billing is failing"),
    "endpoint.recovered": ("ok", "Endpoint billing has recovered. It accepts messages again."),
    "endpoint.disabling": (
        "warning",
        "Endpoint billing will be disabled. 75 % of the time has passed. Repair it before 2026-11-30 12:30 UTC",
    ),
    "endpoint.disabled": ("error", "Endpoint billing was disabled. It has failed since 2026-11-25 10:00 UTC."),
    "endpoint.enabled": ("ok", "Endpoint billing was enabled"),
    "message.attempt.exhausted": (
        "error",
        "A message could not be delivered. The last attempt failed: endpoint ep_1 responded with 500.",
    ),
    "background_task.finished": ("ok", "Background task endpoint.recover has finished"),
}


@pytest.mark.parametrize("event_type", SENTENCES)
async def test_an_operational_event_is_told_in_a_sentence(sandbox: Sandbox, event_type: str) -> None:
    body = await _operational(sandbox, "tidings.json", event_type)

    level, beginning = SENTENCES[event_type]
    assert level == body["level"]
    assert f"{body['title']}. {body['text']}".startswith(beginning)


async def test_the_cause_is_part_of_the_sentence(sandbox: Sandbox) -> None:
    manual = await _operational(sandbox, "tidings.json", "endpoint.disabled", trigger="manual", failSince=None)
    silent = await _operational(
        sandbox, "tidings.json", "message.attempt.exhausted", lastAttempt={"responseStatusCode": 0}
    )
    failed = await _operational(sandbox, "tidings.json", "background_task.finished", status="failed")

    assert ("warning", "A request disabled it.") == (manual["level"], manual["text"][:22])
    assert "endpoint ep_1 did not respond" in silent["text"]
    assert ("error", "Background task endpoint.recover has failed") == (failed["level"], failed["title"])


async def test_a_fact_has_its_name_in_words_and_its_value_readable(sandbox: Sandbox) -> None:
    body = await _operational(sandbox, "tidings.json", "message.attempt.exhausted")

    assert {
        "App id": "app_1",
        "Endpoint id": "ep_1",
        "Msg id": "msg_1",
        "Last attempt: id": "atmpt_1",
        "Last attempt: response status code": "500",
        "Last attempt: timestamp": "2026-11-30 10:00 UTC",
    } == body["facts"]


async def test_the_event_of_a_customer_is_shown_with_its_own_names(sandbox: Sandbox) -> None:
    sent = await _sent(sandbox, "tidings.slack", "invoice.paid", PAYLOADS["an invoice"])

    [attachment] = json.loads(sent.payload)["attachments"]
    fields = [each["text"] for each in attachment["blocks"][0]["fields"]]
    assert ["*id*\nin_1", "*amount*\n12.5", "*paid*\ntrue", "*lines*\n1 item"] == fields
    assert "invoice.paid" == json.loads(sent.payload)["text"]


async def test_slack_gets_no_mention_or_link_from_a_payload(sandbox: Sandbox) -> None:
    sent = await _sent(sandbox, "tidings.slack", "x", {"message": "<!channel> <https://evil|here> &amp;"})

    [attachment] = json.loads(sent.payload)["attachments"]
    assert "&lt;!channel&gt; &lt;https://evil|here&gt; &amp;amp;" == attachment["blocks"][0]["text"]["text"]


async def test_discord_shows_markdown_as_it_is_and_keeps_links(sandbox: Sandbox) -> None:
    payload = {"data": {"name": "**a_b**", "url": "https://example.com/a_b"}}
    [embed] = json.loads((await _sent(sandbox, "tidings.discord", "x", payload)).payload)["embeds"]

    assert [r"\*\*a\_b\*\*", "https://example.com/a_b"] == [each["value"] for each in embed["fields"]]


async def test_pagerduty_resolves_the_alert_that_it_triggered(sandbox: Sandbox) -> None:
    found = {
        name: await _operational(sandbox, "tidings.pagerduty", name)
        for name in OPERATIONAL
        if "." in name and name not in ("endpoint.created", "endpoint.updated", "background_task.finished")
    }

    actions = {name: (each["event_action"], each["dedup_key"]) for name, each in found.items()}
    endpoint, message = "tidings:ep_1", "tidings:ep_1:msg_1"
    assert {
        **{f"endpoint.{name}": ("trigger", endpoint) for name in ("failing", "disabling", "disabled")},
        **{f"endpoint.{name}": ("resolve", endpoint) for name in ("recovered", "enabled", "deleted")},
        **{f"message.attempt.{name}": ("trigger", message) for name in ("failing", "exhausted")},
        "message.attempt.recovered": ("resolve", message),
    } == actions
    failed = await _operational(sandbox, "tidings.pagerduty", "background_task.finished", status="failed")
    assert ("trigger", "tidings:qtask_1") == (failed["event_action"], failed["dedup_key"])


async def test_the_key_of_pagerduty_moves_from_the_url_to_the_body(sandbox: Sandbox) -> None:
    sent = await _sent(sandbox, "tidings.pagerduty", "any.event", {})

    assert ("https://events.pagerduty.com/v2/enqueue", KEY) == (sent.url, json.loads(sent.payload)["routing_key"])


async def test_without_its_key_pagerduty_gets_nothing(sandbox: Sandbox) -> None:
    connector = built_in_connectors.find(DEFAULT_ORG, "tidings.pagerduty")
    assert connector is not None
    webhook = Webhook("https://events.pagerduty.com/v2/enqueue", "any.event", b"{}")

    with pytest.raises(ScriptError, match="and your integration key"):
        await sandbox.run("ep_1", Script(connector.transformation), webhook)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_and_its_instructions_fit_into_a_connector(name: str) -> None:
    connector = built_in_connectors.find(DEFAULT_ORG, name)

    assert connector is not None
    assert len(connector.transformation) <= SCRIPT_MAX
    assert len(connector.instructions.encode()) <= INSTRUCTIONS_MAX


# The beginning of the SHA-256 of each script, by its version.
DIGESTS: dict[str, tuple[int, str]] = {
    "tidings.slack": (1, "dcc8b0ab1ccc"),
    "tidings.discord": (1, "b2f8619ae5dc"),
    "tidings.teams": (1, "ee0f8a6ae4f8"),
    "tidings.pagerduty": (1, "cecb68d50b97"),
    "tidings.json": (1, "254ebde16812"),
}


@pytest.mark.parametrize("name", NAMES)
def test_another_script_is_another_version(name: str) -> None:
    connector = built_in_connectors.find(DEFAULT_ORG, name)

    assert connector is not None
    digest = hashlib.sha256(connector.transformation.encode()).hexdigest()[:12]
    assert DIGESTS[name] == (connector.version, digest), (
        "raise the version in `_SHIPPED`, and write the new digest here"
    )
