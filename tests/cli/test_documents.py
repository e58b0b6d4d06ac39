# SPDX-License-Identifier: MIT
"""`tidings event-types import-openapi`, `tidings environment export` and `import`, against live servers."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are another package

import live
from cli.command import SECONDS, CommandResult, tidings
from tidings.cli.documents import BYTES_MAX
from tidings.model import yaml_text

SPEC = {
    "openapi": "3.1.0",
    "webhooks": {
        "pet.new": {"post": {"description": "A pet."}},
        "pet.sold": {"post": {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}},
    },
}
SCRIPT = "function handler(webhook) {\n  return webhook; // größer\n}\n"
ENVIRONMENT = {
    "eventTypes": [{"name": "a.b", "description": "yes", "schemas": {"1": {"type": "object", "title": "1e3"}}}],
    "connectors": [{"name": "Mine", "uid": "mine", "transformation": SCRIPT}],
    "settings": {"displayName": "Acme"},
}


@dataclass(frozen=True)
class Shell:
    """A folder with documents, and a server to import them into."""

    server: live.Live
    folder: Path

    def run(self, *arguments: str) -> CommandResult:
        return tidings(*arguments, folder=self.folder, url=self.server.url, token=self.server.token)

    def file(self, name: str, value: object) -> str:
        dump = json.dumps if name.endswith(".json") else yaml_text.written
        (self.folder / name).write_text(value if isinstance(value, str) else dump(value))
        return name

    def read(self, path: str) -> Any:
        return self.server.call("GET", f"/api/v1{path}")[1]


@pytest.fixture
def shell(database_url: str, tmp_path: Path) -> Iterator[Shell]:
    with live.serving(database_url, tmp_path / "server", "--no-delivery") as server:
        yield Shell(server, tmp_path)


def test_an_openapi_document_is_imported_after_a_dry_run(shell: Shell) -> None:
    shell.server.call("POST", "/api/v1/event-type", {"name": "old", "description": ""})
    shell.server.call("POST", "/api/v1/event-type", {"name": "used", "description": ""})
    _, app = shell.server.call("POST", "/api/v1/app", {"name": "A"})
    subscribed = {"url": "https://example.com/", "eventTypes": ["used"]}
    shell.server.call("POST", f"/api/v1/app/{app['id']}/endpoint", subscribed)
    command = ("event-types", "import-openapi", shell.file("spec.yaml", SPEC), "--replace-all")

    planned = shell.run(*command, "--dry-run")
    assert {"old", "used"} == {each["name"] for each in shell.read("/event-type")["data"]}
    done = shell.run(*command)
    again = shell.run("event-types", "import-openapi", shell.file("spec.json", SPEC))

    changes = "created\tpet.new\ncreated\tpet.sold\narchived\told\narchived, in use\tused\n"
    assert (0, changes) == (planned.code, planned.out) == (done.code, done.out)
    counts = "2 created, 0 updated, 2 archived, 0 unchanged."
    used = "Endpoints subscribe to 1 archived event type; they keep these subscriptions."
    assert [f"Dry run, nothing is changed: {counts}", used] == planned.err.splitlines()
    assert [f"Imported: {counts}", used] == done.err.splitlines()
    assert ("", "Imported: 0 created, 0 updated, 0 archived, 2 unchanged.\n") == (again.out, again.err)
    assert {"pet.new", "pet.sold"} == {each["name"] for each in shell.read("/event-type")["data"]}


def test_a_document_is_read_from_standard_input_and_the_response_is_printed(shell: Shell) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tidings", "event-types", "import-openapi", "-", "--json"],
        env=live.environment({"url": shell.server.url, "token": shell.server.token}),
        input=yaml.safe_dump(SPEC),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert 0 == ran.returncode, ran.stderr
    assert ["pet.new", "pet.sold"] == json.loads(ran.stdout)["data"]["modified"]


@pytest.mark.parametrize("name", ["environment.json", "environment.yaml", "environment.yml"])
def test_an_exported_environment_is_imported_into_another_organization(shell: Shell, name: str) -> None:
    assert 0 == shell.run("environment", "import", shell.file("given.yaml", ENVIRONMENT)).code

    exported = shell.run("environment", "export", "--output", name)
    other = shell.server.token_of("org_other")
    imported = tidings("environment", "import", name, folder=shell.folder, url=shell.server.url, token=other)

    numbers = "1 event type, 1 connector, 1 setting"
    assert (0, "", f"Exported {numbers} to {name}.\n") == (exported.code, exported.out, exported.err)
    assert (0, "", f"Imported {numbers}.\n") == (imported.code, imported.out, imported.err)
    found = shell.server.call("POST", "/api/v1/environment/export", {}, token=other)[1]
    for part in ("eventTypes", "connectors"):
        assert ENVIRONMENT[part][0].items() <= found[part][0].items()  # type: ignore[index]
    assert ENVIRONMENT["settings"] == found["settings"]
    path = shell.folder / name
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert (name == "environment.json") is path.read_text().startswith("{")
    assert [] == list(shell.folder.glob(".*.part"))


def test_an_export_is_printed_in_either_format(shell: Shell) -> None:
    shell.run("environment", "import", shell.file("given.json", ENVIRONMENT))

    as_json, as_yaml = shell.run("environment", "export"), shell.run("environment", "export", "--format", "yaml")

    assert SCRIPT == json.loads(as_json.out)["connectors"][0]["transformation"]
    assert json.loads(as_json.out)["eventTypes"] == yaml.safe_load(as_yaml.out)["eventTypes"]
    assert "  transformation: |\n    function handler(webhook) {\n" in as_yaml.out


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("documents")
    with live.serving(f"sqlite:///{folder}/t.db", folder, "--no-delivery") as server:
        yield Shell(server, folder)


IMPORT, OPENAPI = ("environment", "import"), ("event-types", "import-openapi")


@pytest.mark.parametrize(
    ("command", "content", "words"),
    [
        (OPENAPI, {"openapi": "3.1.0", "webhooks": {"not a name": {}}}, "not a name"),
        (OPENAPI, "a: [", "not YAML or JSON"),
        (OPENAPI, {"openapi": "2.0"}, "openapi"),
        (IMPORT, "a: [", "given.yaml is not YAML or JSON: line"),
        (IMPORT, SPEC, "given.yaml has none of eventTypes, connectors, settings; for an OpenAPI document, use"),
        (IMPORT, "- 1", "given.yaml has none of"),
        (IMPORT, {"eventTypes": [{"name": "a b", "description": ""}]}, "eventTypes"),
        (IMPORT, {"connectors": [{"name": "n", "transformation": "function handler( {}"}]}, "transformation"),
        (IMPORT, {"eventTypes": 1}, "eventTypes"),
    ],
)
def test_a_document_with_a_fault_is_one_sentence(
    lite: Shell, command: tuple[str, ...], content: object, words: str
) -> None:
    result = lite.run(*command, lite.file("given.yaml", content))

    assert 2 == result.code
    assert words in result.error_line
    assert [] == lite.read("/event-type")["data"]


@pytest.mark.parametrize("command", [IMPORT, OPENAPI])
def test_a_file_that_cannot_be_read_is_one_sentence(lite: Shell, command: tuple[str, ...]) -> None:
    (lite.folder / "latin").write_bytes(b"a: \xff")
    with (lite.folder / "large").open("wb") as large:
        large.truncate(BYTES_MAX + 1)

    found = {name: lite.run(*command, name) for name in ("absent", "latin", "large")}

    assert [2, 2, 2] == [each.code for each in found.values()]
    assert {
        "absent": "absent: No such file or directory",
        "latin": "latin is not text in UTF-8; convert it",
        "large": "large has more than 32 MiB; split it",
    } == {name: each.error_line for name, each in found.items()}


def test_a_refused_export_leaves_the_former_file(lite: Shell) -> None:
    (lite.folder / "kept.json").write_text("former")

    refused = tidings(
        "environment", "export", "--output", "kept.json", folder=lite.folder, url=lite.server.url, token="nonsense"
    )
    nowhere = lite.run("environment", "export", "--output", "absent/e.json")

    assert (2, 2) == (refused.code, nowhere.code)
    assert "the server rejects the token" in refused.error_line
    assert "No such file or directory" in nowhere.error_line
    assert "former" == (lite.folder / "kept.json").read_text()
