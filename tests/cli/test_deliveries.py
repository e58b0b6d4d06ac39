# SPDX-License-Identifier: MIT
"""`tidings deliveries list` and `explain`, against a live server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import live
from cli.command import CommandResult, tidings


@dataclass(frozen=True)
class Sent:
    """A message and its endpoints: one is disabled, one has another channel, one has a scheduled delivery."""

    server: live.Live
    folder: Path
    app: str
    endpoints: tuple[str, ...]

    def explain(self, *arguments: str, msg: str = "order/1") -> CommandResult:
        return self.run("explain", self.app, msg, *arguments)

    def run(self, *arguments: str) -> CommandResult:
        where = {"url": self.server.url, "token": self.server.token}
        return tidings("deliveries", *arguments, folder=self.folder, **where)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    folder: Path = tmp_path_factory.mktemp("deliveries")
    with live.serving(f"sqlite:///{folder}/t.db", folder, "--no-delivery") as server:
        _, app = server.call("POST", "/api/v1/app", {"name": "A"})
        bodies: tuple[dict[str, Any], ...] = ({"disabled": True}, {"channels": ["eu"]}, {})
        made = [
            server.call("POST", f"/api/v1/app/{app['id']}/endpoint", {"url": "http://127.0.0.1:9/", **body})[1]["id"]
            for body in bodies
        ]
        body = {"eventType": "order.paid", "payload": {}, "eventId": "order-1"}
        assert 202 == server.call("POST", f"/api/v1/app/{app['id']}/msg", body)[0]
        yield Sent(server, folder, app["id"], tuple(made))


def test_each_endpoint_has_a_line_with_the_state_of_its_delivery(sent: Sent) -> None:
    result = sent.explain(msg="order-1")

    assert 0 == result.code, result.err
    rows = {line.split("\t")[0]: line.split("\t")[1:4] for line in result.out.splitlines()}
    assert (
        dict(
            zip(
                sent.endpoints,
                (
                    ["not_sent", "endpoint_disabled", "0"],
                    ["not_sent", "channel_not_matched", "0"],
                    ["scheduled", "waiting", "0"],
                ),
                strict=True,
            )
        )
        == rows
    )


def test_deliveries_can_be_paged_and_printed_as_json(sent: Sent) -> None:
    first = sent.explain("--limit", "2", msg="order-1")
    iterator = first.err.split()[-1]
    rest = sent.explain("--json", "--iterator", iterator, msg="order-1")

    assert 2 == len(first.out.splitlines())
    assert "There are more" in first.err
    assert 1 == len(json.loads(rest.out)["data"])


@pytest.mark.parametrize("msg", ["order/1", "msg_unknown", "../endpoint"])
def test_a_message_that_is_unknown_is_an_error(sent: Sent, msg: str) -> None:
    result = sent.explain(msg=msg)

    assert 2 == result.code
    assert "status 404" in result.error_line


@pytest.mark.parametrize("scope", ["organization", "endpoint"])
def test_undelivered_messages_have_a_line_each(sent: Sent, scope: str) -> None:
    where = () if scope == "organization" else ("--app", sent.app, "--endpoint", sent.endpoints[2])
    scheduled = sent.run("list", *where, "--state", "scheduled", "--since", "1h")
    exhausted = sent.run("list", *where)
    filtered = sent.run("list", *where, "--state", "scheduled", "--event-type", "a.b", "--event-type", "c.d", "--json")

    assert (0, 0, 0) == (scheduled.code, exhausted.code, filtered.code), scheduled.err
    [line] = scheduled.out.splitlines()
    fields = line.split("\t")
    assert ["order.paid", sent.endpoints[2], "scheduled", "waiting", "0", ""] == fields[2:8]
    assert "1 delivery is scheduled; the oldest message was created at 20" in scheduled.err
    assert ("", "0 deliveries are exhausted.") == (exhausted.out, exhausted.err.strip())
    found = json.loads(filtered.out)
    assert ([], {"count": 0, "isExact": True}) == (found["data"], found["count"])


@pytest.mark.parametrize("arguments", [("--app", "a"), ("--endpoint", "e"), ("--since", "soon"), ("--iterator", "x")])
def test_wrong_arguments_of_a_list_are_an_error(sent: Sent, arguments: tuple[str, ...]) -> None:
    result = sent.run("list", *arguments)

    assert 2 == result.code
    assert arguments[0].strip("-") in result.err
