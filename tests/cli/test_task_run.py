# SPDX-License-Identifier: MIT
"""`tidings tasks run|cancel|pause|resume|retry|items` against a live server."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

import live
from cli.command import CommandResult, tidings
from tidings.cli import task_commands
from tidings.cli.tasks import _print_result

RUNS = ["recover", "replay", "bulk-replay", "stats", "aggregate", "purge", "broadcast", "export"]


@dataclass(frozen=True)
class Place:
    """A server with an application that has an endpoint, one that is disabled, and a message."""

    server: live.Live
    folder: Path
    app: str
    endpoint: str
    disabled: str

    def tasks(self, *arguments: str) -> CommandResult:
        return tidings("tasks", *arguments, folder=self.folder, url=self.server.url, token=self.server.token)

    def run(self, kind: str, *more: str) -> CommandResult:
        """Start a task of a kind with the arguments that it needs."""
        return self.tasks("run", kind, *self._needed(kind), *more)

    def waiting(self) -> str:
        """Start a task that waits until its endpoint is enabled."""
        result = self.tasks("run", "replay", self.app, self.disabled, "--since", "1h", "--force")
        assert result.code == 0, result.err
        return result.out.strip()

    def _needed(self, kind: str) -> list[str]:
        match kind:
            case "recover" | "replay" | "bulk-replay":
                return [self.app, self.endpoint, "--since", "2h"]
            case "stats":
                return ["--since", "2h"]
            case "purge":
                return [self.app]
            case "broadcast":
                return ["order.paid", '{"a": 1}']
            case _:
                return []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("run")
    with live.serving(f"sqlite:///{folder}/t.db", folder, retry_schedule="[]") as server:
        _, app = server.call("POST", "/api/v1/app", {"name": "A"})
        at = f"/api/v1/app/{app['id']}"
        _, endpoint = server.call("POST", f"{at}/endpoint", {"url": "http://127.0.0.1:9/"})
        _, disabled = server.call("POST", f"{at}/endpoint", {"url": "http://127.0.0.1:9/", "disabled": True})
        server.call("POST", f"{at}/msg", {"eventType": "order.paid", "payload": {}})
        yield Place(server, folder, app["id"], endpoint["id"], disabled["id"])


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_can_be_estimated_and_run_to_its_end(place: Place, kind: str) -> None:
    dry_run = place.run(kind, "--dry-run", "--json")
    assert dry_run.code == 0, dry_run.err
    estimate = json.loads(dry_run.out)
    assert {"task", "total", "exact", "estimateSeconds", "sample"} == set(estimate)

    result = place.run(kind, "--wait", "--json")

    assert result.code == 0, result.err
    last = json.loads(result.out.splitlines()[-1])
    assert (last["task"], last["status"]) == (estimate["task"], "finished")


def test_the_result_is_printed_at_the_end(place: Place) -> None:
    body = {kind: place.run(kind, "--wait").out.splitlines() for kind in ("recover", "stats", "aggregate")}

    assert re.fullmatch(r"messagesSent \d+", body["recover"][-1])
    assert re.fullmatch(rf"appStats\t\d+\t{place.app}\t", body["stats"][-1])
    assert f"event_types\t{place.app}\t\ttrue" == body["aggregate"][-1]


def test_a_list_is_reported_as_a_table_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _print_result(Console(force_terminal=True, width=80), "event_types", [{"appId": "app_1", "types": ["a", "b"]}])

    lines = capsys.readouterr().out.splitlines()
    assert "event_types" in lines[0]
    assert [True] * 2 == ["appId" in lines[2], "types" in lines[2]]
    assert [True] * 2 == ["app_1" in lines[4], "a, b" in lines[4]]


def test_a_dry_run_prints_lines(place: Place) -> None:
    result = place.run("aggregate", "--dry-run")

    assert ["task      event-type.aggregate", "total     1"] == result.out.splitlines()[:2]
    assert f"sample    {place.app}" == result.out.splitlines()[3]


def test_a_started_task_is_reported_by_its_id(place: Place) -> None:
    result = place.run("aggregate")

    assert re.fullmatch(r"qtask_\w{27}\n", result.out)
    assert f"tidings tasks watch {result.out.strip()}" in result.err


def test_commands_move_a_task_and_are_refused_in_a_line(place: Place) -> None:
    task_id = place.waiting()

    for command, state in [("pause", "paused"), ("resume", ""), ("cancel", "cancelled"), ("cancel", "cancelled")]:
        result = place.tasks(command, task_id, "--json")
        assert result.code == 0, result.err
        assert state in json.loads(result.out)["x"]["state"]
    assert "state     cancelled" in place.tasks("cancel", task_id).out.splitlines()
    refused = place.tasks("retry", task_id)
    assert (2, True) == (refused.code, "canceled" in refused.error_line)
    assert "status 404" in place.tasks("pause", "qtask_" + "1" * 27).error_line


def test_a_task_that_is_canceled_while_it_is_followed_counts_as_failed(place: Place) -> None:
    task_id = place.waiting()
    place.tasks("cancel", task_id)

    result = place.tasks("watch", task_id)

    assert (1, True) == (result.code, "canceled" in result.error_line)


def test_items_are_listed_for_people_and_programs(place: Place) -> None:
    place.server.call("POST", f"/api/v1/app/{place.app}/msg", {"eventType": "order.paid", "payload": {}})
    started = json.loads(place.run("broadcast", "--wait", "--json").out.splitlines()[-1])

    plain = place.tasks("items", started["id"], "--outcome", "created")
    body = json.loads(place.tasks("items", started["id"], "--json", "--limit", "1").out)

    assert [place.app, "created"] == plain.out.splitlines()[0].split("\t")[:2]
    assert (1, "created") == (len(body["data"]), body["data"][0]["outcome"])
    assert place.tasks("items", started["id"], "--outcome", "withdrawn").out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recover", "{app}", "{endpoint}", "--since", "yesterday"], "--since 'yesterday' is not a timestamp"),
        (["recover", "{app}", "{endpoint}", "--since", "2024-05-01"], "is not a timestamp"),
        (["recover", "{app}", "{endpoint}", "--since", "2024-W18-3T12:00:00Z"], "is not a timestamp"),
        (["recover", "{app}", "{disabled}", "--since", "1h"], "The endpoint is disabled"),
        (["recover", "{app}", "{endpoint}", "--since", "30d"], "Cannot recover more than 14 days"),
        (["replay", "{app}", "no/body", "--since", "1h"], "status 404"),
        (["bulk-replay", "{app}", "{endpoint}", "--since", "1h", "--channel", "a b"], "channel"),
        (["broadcast", "order.paid", "[]"], "not a JSON object"),
        (["broadcast", "order.paid", "@nowhere.json"], "cannot be read"),
        (["stats", "--since", "1h", "--app", "nobody"], "None of these applications exists"),
    ],
)
def test_a_refused_start_is_one_line(place: Place, arguments: list[str], message: str) -> None:
    known = {"app": place.app, "endpoint": place.endpoint, "disabled": place.disabled}

    result = place.tasks("run", *(each.format(**known) for each in arguments), "--dry-run")

    assert 2 == result.code
    assert message in result.error_line


def test_timestamps_may_be_rfc_3339(place: Place) -> None:
    window = ["--since", "2024-05-01t12:00:00z", "--until", "2024-05-01T14:00:00+02:00"]

    result = place.tasks("run", "bulk-replay", place.app, place.endpoint, *window, "--rate", "5", "--dry-run", "--json")

    assert 0 == json.loads(result.out)["total"], result.err


def test_a_payload_may_have_an_unpaired_surrogate() -> None:
    assert task_commands._payload('{"s":"\\ud83d"}') == rb'{"s":"\ud83d"}'  # noqa: SLF001
