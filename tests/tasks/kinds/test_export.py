# SPDX-License-Identifier: MIT
"""Exports: a document, and models that hold what the schemas say, in an archive that only its link opens."""

import asyncio
import importlib
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydantic
import pytest

from tasks.kit import run_sql
from tasks.world import NOW, PRINCIPAL, World
from tidings.clock import DAY, ManualClock
from tidings.core import exports
from tidings.core.desk import Desk
from tidings.errors import AppError, Kind
from tidings.model.task import State, Task
from tidings.tasks import archive
from tidings.tasks.archive import GeneratorMissing

COMPILER = Path(__file__).resolve().parents[3] / ".venv/node/node_modules/.bin/tsc"
ORDER = {
    "type": "object",
    "description": "What was ordered. */",
    "required": ["id", "lines"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "lines": {"type": "array", "items": {"$ref": "#/definitions/line"}},
        "note": {"type": ["string", "null"]},
        "class": {"enum": ["gold", "silver", 3]},
    },
    "definitions": {
        "line": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}, "of": {"$ref": "#"}}}
    },
}


async def an_event_type(world: World, name: str, schema: Any = None, **columns: Any) -> None:
    await run_sql(
        world.db,
        "INSERT INTO event_type (org_id, name, description, archived, deprecated, schemas, group_name, created_at,"
        " updated_at) VALUES (:org, :name, :description, :archived, :deprecated, :schemas, :group, 1, 1)",
        org=PRINCIPAL.org_id,
        name=name,
        description=f"{name} happened",
        archived=columns.get("archived", 0),
        deprecated=columns.get("deprecated", 0),
        schemas=None if schema is None else json.dumps({"1": {"type": "null"}, "2": schema}),
        group=columns.get("group"),
    )


async def exported(world: World) -> tuple[Task, str]:
    task = await world.done(exports.export_event_types, PRINCIPAL, "https://hooks.test")
    return task, (await world.result(task))["schemaZip"]


async def fetched(world: World, link: str, desk: Desk | None = None, **changed: Any) -> bytes:
    parts = urlsplit(link)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()} | changed
    export_id = changed.get("id", parts.path.rpartition("/")[2])
    return await exports.fetch(desk or world.desk, export_id, int(given["expires"]), given["signature"])


async def unpacked(world: World, link: str) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(await fetched(world, link))) as found:
        return {name: found.read(name).decode() for name in found.namelist()}


async def test_the_archive_holds_a_document_and_models(world: World) -> None:
    await an_event_type(world, "order.paid", ORDER, group="orders", deprecated=1)
    await an_event_type(world, "ping")
    await an_event_type(world, "gone", ORDER, archived=1)

    task, link = await exported(world)

    assert (State.SUCCEEDED, 2, 0) == (task.state, task.done, task.skipped)
    assert link.startswith(f"https://hooks.test/api/v1/export/{task.id}?expires=")
    files = await unpacked(world, link)
    assert {
        "openapi.json",
        "python/webhook_models/__init__.py",
        "python/webhook_models/order_paid.py",
        "python/webhook_models/ping.py",
        "python/webhook_models/py.typed",
        "typescript/index.ts",
        "typescript/order_paid.ts",
        "typescript/ping.ts",
    } == set(files)
    document = json.loads(files["openapi.json"])
    assert ("3.1.0", {"order.paid", "ping"}) == (document["openapi"], set(document["webhooks"]))
    webhook = document["webhooks"]["order.paid"]["post"]
    assert (["orders"], True) == (webhook["tags"], webhook["deprecated"])
    lines = document["components"]["schemas"]["OrderPaid"]["properties"]["lines"]["items"]
    assert {"$ref": "#/components/schemas/OrderPaid/definitions/line"} == lines
    (told,) = await world.told()
    assert {"schema_zip": link} == told["data"]


async def test_the_python_models_hold_what_the_schema_says(world: World, tmp_path: Path) -> None:
    await an_event_type(world, "order.paid", ORDER)
    files = await unpacked(world, (await exported(world))[1])
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.path.insert(0, str(tmp_path / "python"))
    try:
        models = importlib.import_module("webhook_models")
    finally:
        sys.path.pop(0)
        for name in [name for name in sys.modules if name.startswith("webhook_models")]:
            del sys.modules[name]

    model = models.EVENTS["order.paid"]
    found = model.model_validate(
        {"id": "7f1b6a0e-3b5e-4b7e-9d43-0f4f1f1d8d11", "lines": [{"sku": "a"}], "class": "gold"}
    )
    assert "a" == found.lines[0].sku
    with pytest.raises(pydantic.ValidationError):
        model.model_validate({"id": "no uuid", "lines": []})


async def test_the_typescript_types_say_what_the_schema_says(world: World) -> None:
    await an_event_type(world, "order.paid", ORDER)
    files = await unpacked(world, (await exported(world))[1])

    assert files["typescript/order_paid.ts"] == (
        "/** What was ordered. *\\/ */\n"
        "export type OrderPaid = {\n"
        "  id: string;\n"
        "  lines: OrderPaidLine[];\n"
        "  note?: string | null;\n"
        '  class?: "gold" | "silver" | 3;\n'
        "  [key: string]: unknown;\n"
        "};\n"
        "\n"
        "export type OrderPaidLine = {\n"
        "  sku: string;\n"
        "  of?: OrderPaid;\n"
        "  [key: string]: unknown;\n"
        "};\n"
    )
    assert '  "order.paid": OrderPaid;\n' in files["typescript/index.ts"]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_the_compiler_takes_the_typescript(world: World, tmp_path: Path) -> None:
    if not COMPILER.is_file():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"{COMPILER} is absent; `make test` installs it"
        )
    odd = {"a b": {"const": {"x": [1, None, 'q"']}}, "t": {"prefixItems": [{"type": "string"}], "items": False}}
    more = {"m": {"type": "object", "additionalProperties": {"type": "integer"}}, "n": {"oneOf": [True, False]}}
    await an_event_type(world, "order.paid", ORDER)
    await an_event_type(world, "odd", {"type": "object", "properties": {**odd, **more}, "allOf": [ORDER]})
    await an_event_type(world, "text", {"type": "string", "nullable": True})
    files = await unpacked(world, (await exported(world))[1])
    sources = {tmp_path / Path(name).name: text for name, text in files.items() if name.endswith(".ts")}
    for path, text in sources.items():
        path.write_text(text)

    run = await asyncio.create_subprocess_exec(
        COMPILER, "--noEmit", "--strict", *map(str, sources), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await run.communicate()

    assert (0, b"") == (run.returncode, said)


@pytest.mark.parametrize(
    "reference", ["http://127.0.0.1:1/s.json", "file:///etc/hostname", "../other.json", "other.json#/a"]
)
async def test_a_reference_to_elsewhere_is_skipped_and_told(world: World, reference: str) -> None:
    await an_event_type(world, "bad", {"type": "object", "properties": {"a": {"$ref": reference}}})
    await an_event_type(world, "good", ORDER)

    task, link = await exported(world)

    assert (State.SUCCEEDED, 1, 1) == (task.state, task.done, task.skipped)
    assert [("bad", "unfit_schema: a reference to outside of the schema")] == await world.skipped(task)
    assert "typescript/bad.ts" not in await unpacked(world, link)


async def test_a_poisoned_schema_does_not_stop_the_others(world: World) -> None:
    await an_event_type(world, "bad", {"type": "object", "properties": {"a": {"$ref": "#/definitions/nowhere"}}})
    await an_event_type(world, "good", ORDER)

    task, link = await exported(world)

    assert State.SUCCEEDED is task.state
    assert "typescript/good.ts" in await unpacked(world, link)


async def test_many_event_types_and_names_alike(world: World) -> None:
    for number in range(45):
        await an_event_type(world, f"order.n{number}", {"type": "object"})
    for name in ("a.b", "a_b", "a-b", "import", "7up"):
        await an_event_type(world, name)

    task, link = await exported(world)

    files = await unpacked(world, link)
    assert (50, 50) == (task.done, task.total)
    assert 50 == sum(name.endswith(".ts") for name in files) - 1
    assert {"typescript/import_.ts", "typescript/event7up.ts"} <= {name.lower() for name in files}


async def test_without_event_types_there_is_an_empty_archive(world: World) -> None:
    task, link = await exported(world)

    assert (State.SUCCEEDED, 0) == (task.state, task.done)
    assert {} == json.loads((await unpacked(world, link))["openapi.json"])["webhooks"]


@pytest.mark.parametrize(
    "changed",
    [{"signature": "0" * 64}, {"signature": ""}, {"expires": NOW}, {"id": "qtask_2ztyN7HVPWhTq7FtmTTC0yPs8ul"}],
)
async def test_another_link_opens_nothing(world: World, changed: dict[str, Any]) -> None:
    _, link = await exported(world)

    with pytest.raises(AppError) as refused:
        await fetched(world, link, **changed)

    assert Kind.FORBIDDEN is refused.value.kind


async def test_after_a_day_the_link_is_closed(world: World) -> None:
    _, link = await exported(world)
    later = ManualClock(world.desk.clock.now() + DAY + 1)

    with pytest.raises(AppError) as refused:
        await fetched(world, link, Desk(world.db, later, world.desk.wake, world.desk.receipts))

    assert Kind.NOT_FOUND is refused.value.kind


async def test_without_the_generator_the_task_fails_and_says_what_is_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> str:
        raise GeneratorMissing

    monkeypatch.setattr(archive, "python_models", missing)
    await an_event_type(world, "good", ORDER)

    task = await world.done(exports.export_event_types, PRINCIPAL, "https://hooks.test")

    assert task.error is not None
    assert (State.FAILED, "generator_missing") == (task.state, task.error.code)
    assert "tidings[export]" in task.error.detail
