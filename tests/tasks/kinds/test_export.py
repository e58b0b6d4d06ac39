# SPDX-License-Identifier: MIT
"""Exports: a document, and models that match the schemas, in an archive that only its link opens."""

import asyncio
import importlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydantic
import pytest

from tasks.kinds import audit
from tasks.kinds.case import Case, Work
from tasks.kit import reread, rows, run_sql, until, working
from tasks.world import FREE, NOW, PRINCIPAL, World
from tidings.clock import DAY, ManualClock
from tidings.core import exports
from tidings.core.services import Services
from tidings.errors import AppError, ErrorKind
from tidings.model.task import State, Task
from tidings.storage.drivers.database import Database
from tidings.tasks.generator import Generator
from tidings.tasks.handler import HandlerServices
from tidings.tasks.kinds import export
from tidings.tasks.kinds.export import Export

ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""For facts of the generators: no database takes part in them, and each test starts a process that loads them."""
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
    task = await world.done(export.build_task, PRINCIPAL, "https://hooks.test")
    return task, (await world.result(task))["schemaZip"]


async def export_with(world: World, generator: Generator) -> Task:
    """Export with children of another kind; return the finished task."""
    task = await world.begin(export.build_task, PRINCIPAL, "https://hooks.test")
    async with working(
        world.db,
        Export(export.KIND, HandlerServices(world.services.clock, world.services.notifier), generator),
        limits=FREE,
    ):
        return await until(world.db, task.id)


async def fetched(world: World, link: str, services: Services | None = None, **changed: Any) -> bytes:
    parts = urlsplit(link)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()} | changed
    export_id = changed.get("id", parts.path.rpartition("/")[2])
    return await exports.fetch(services or world.services, export_id, int(given["expires"]), given["signature"])


async def unpacked(world: World, link: str) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(await fetched(world, link))) as found:
        return {name: found.read(name).decode() for name in found.namelist()}


def imported(files: dict[str, str], folder: Path) -> Any:
    """Unpack an archive and import its Python models."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.path.insert(0, str(folder / "python"))
    try:
        return importlib.import_module("webhook_models")
    finally:
        sys.path.pop(0)
        for name in [name for name in sys.modules if name.startswith("webhook_models")]:
            del sys.modules[name]


def written(sources: dict[Path, str]) -> None:
    for path, text in sources.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


async def compiled(files: dict[str, str], folder: Path) -> tuple[int | None, bytes]:
    """Compile the TypeScript of an archive; return the exit code and the output."""
    sources = {folder / Path(name).name: text for name, text in files.items() if name.endswith(".ts")}
    await asyncio.to_thread(written, sources)
    run = await asyncio.create_subprocess_exec(
        COMPILER, "--noEmit", "--strict", *map(str, sources), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await run.communicate()
    return run.returncode, said


async def _event_types(world: World, items: int, tasks: int) -> list[Work]:
    names = [f"order.n{number:03}" for number in range(items)]
    for name in names:
        await run_sql(
            world.db,
            "INSERT INTO event_type (org_id, name, description, created_at, updated_at) VALUES (:org, :name, '', 1, 1)",
            org=PRINCIPAL.org_id,
            name=name,
        )

    def begin() -> Awaitable[Task]:
        return world.begin(export.build_task, PRINCIPAL, "https://here.test")

    return [Work(begin, names, is_repeatable=True) for _ in range(tasks)]


async def _exported(db: Database, task: Task) -> list[str]:
    """The archive has each event type once only if each piece was made once: it is built from the pieces."""
    parts = await audit.effects(db, "part", task.id)
    ((content,),) = await rows(db, "SELECT content FROM export WHERE id = :id", id=task.id)
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        names = list(json.loads(found.read("openapi.json"))["webhooks"])
    return names + names[: len(parts) - len(set(parts))]


async def _reported(world: World, task: Task, wanted: Sequence[str]) -> int:
    del wanted
    assert str((await world.result(task))["schemaZip"]).startswith("https://here.test/api/v1/export/")
    return task.done


# Each chunk starts a process that imports the generator: 0.9 s of CPU at a lower priority, or ten seconds on a busy
# machine. A short run needs five chunks, in seven such processes with those that are killed.
CASE = Case(_event_types, _exported, _reported, is_keyed=True, many=25, few=5, lease_seconds=3.0, limit_seconds=600)


async def test_the_archive_has_a_document_and_models(world: World) -> None:
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
    (reported,) = await world.finish_events()
    assert {"schema_zip": link} == reported["data"]


@ON_SQLITE
async def test_the_python_models_match_the_schema(world: World, tmp_path: Path) -> None:
    await an_event_type(world, "order.paid", ORDER)
    models = imported(await unpacked(world, (await exported(world))[1]), tmp_path)

    model = models.EVENTS["order.paid"]
    found = model.model_validate(
        {"id": "7f1b6a0e-3b5e-4b7e-9d43-0f4f1f1d8d11", "lines": [{"sku": "a"}], "class": "gold"}
    )
    assert "a" == found.lines[0].sku
    with pytest.raises(pydantic.ValidationError):
        model.model_validate({"id": "no uuid", "lines": []})


@ON_SQLITE
async def test_the_typescript_types_match_the_schema(world: World) -> None:
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


@ON_SQLITE
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

    assert (0, b"") == await compiled(files, tmp_path / "ts")


@ON_SQLITE
async def test_an_external_reference_is_skipped_and_reported(world: World) -> None:
    references = ["http://127.0.0.1:1/s.json", "file:///etc/hostname", "../other.json", "other.json#/a"]
    bad = [f"bad.n{number}" for number in range(len(references))]
    for name, reference in zip(bad, references, strict=True):
        await an_event_type(world, name, {"type": "object", "properties": {"a": {"$ref": reference}}})
    await an_event_type(world, "good", ORDER)

    task, link = await exported(world)

    assert (State.SUCCEEDED, 1, len(bad)) == (task.state, task.done, task.skipped)
    reason = "unfit_schema: the schema has a reference outside itself"
    assert [(name, reason) for name in bad] == await world.skipped(task)
    assert {"typescript/good.ts", "typescript/index.ts"} == {
        name for name in await unpacked(world, link) if name.endswith(".ts")
    }


@ON_SQLITE
async def test_a_poisoned_schema_does_not_stop_the_others(world: World) -> None:
    await an_event_type(world, "bad", {"type": "object", "properties": {"a": {"$ref": "#/definitions/nowhere"}}})
    await an_event_type(world, "good", ORDER)

    task, link = await exported(world)

    assert State.SUCCEEDED is task.state
    assert "typescript/good.ts" in await unpacked(world, link)


@ON_SQLITE
async def test_event_types_with_similar_names_get_distinct_files(world: World) -> None:
    for number in range(45):
        await an_event_type(world, f"order.n{number}", {"type": "object"})
    for name in ("a.b", "a_b", "a-b", "import", "7up"):
        await an_event_type(world, name)

    task, link = await exported(world)

    files = await unpacked(world, link)
    assert (50, 50) == (task.done, task.total)
    assert 50 == sum(name.endswith(".ts") for name in files) - 1
    assert {"typescript/import_.ts", "typescript/event7up.ts"} <= {name.lower() for name in files}


HONEST = {
    "type": "object",
    "properties": {
        f"member_{number}": {"type": "string", "description": f"Member {number} of the payload.", "maxLength": number}
        for number in range(800)
    },
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "database_kind", [pytest.param("sqlite", marks=pytest.mark.chaos), "postgresql"], indirect=True
)
async def test_a_huge_enumeration_delays_no_reader(world: World) -> None:
    """100,000 values beside 8 types of about 80 kB; meanwhile more readers than connections get their responses."""
    await an_event_type(world, "huge", {"enum": [f"value {number}" for number in range(100_000)]})
    for number in range(8):
        await an_event_type(world, f"honest.n{number:02}", HONEST)
    begun = await world.begin(export.build_task, PRINCIPAL, "https://hooks.test")
    async with world.working():
        await until(world.db, begun.id, State.RUNNING)
        for _ in range(20):
            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    group.create_task(rows(world.db, "SELECT count(*) FROM event_type"))
        still_at_work = (await reread(world.db, begun.id)).state is State.RUNNING
        task = await until(world.db, begun.id, seconds=100.0)

    assert still_at_work
    assert (State.SUCCEEDED, 8, 1) == (task.state, task.done, task.skipped)
    assert [("huge", "too_large: `enum` has more than 5,000 entries")] == await world.skipped(task)


WORDS = (
    "index none true false NONE None nOnE events EVENTS record import class any any.url base.model uuid enum literal"
    " field con nul com1 __init__ py.typed self string number object array date aB ab Ab a-b a_b a.b a.b.v2 ... - _ 7"
    " 7up e E1 foo.bar foo_bar"
)
NAMES = [*WORDS.split(), "x" * 256, "x" * 255 + "y", "aB" * 128, "aB" * 127 + "aC"]


@ON_SQLITE
async def test_an_event_type_of_any_name_is_in_the_archive(world: World, tmp_path: Path) -> None:
    for name in NAMES:
        await an_event_type(world, name, {**ORDER, "title": "None"})

    task, link = await exported(world)

    files = await unpacked(world, link)
    assert (len(NAMES), 0) == (task.done, task.skipped), await world.skipped(task)
    assert len({name.lower() for name in files}) == len(files)
    assert all(len(part) <= 255 for name in files for part in name.split("/"))
    models = imported(files, tmp_path)
    assert set(NAMES) == set(models.EVENTS)
    assert len(NAMES) == len(set(models.EVENTS.values()))
    index = files["typescript/index.ts"]
    for name, model in models.EVENTS.items():
        assert f"  {json.dumps(name)}: {model.__name__};\n" in index
    if COMPILER.is_file():
        assert (0, b"") == await compiled(files, tmp_path / "ts")


@ON_SQLITE
async def test_a_format_needs_no_package_except_pydantic(world: World, tmp_path: Path) -> None:
    formats = {"a": "email", "b": "idn-email", "c": "ulid", "d": "date-time", "e": "uri", "f": "ipv4", "g": "duration"}
    schema = {name: {"type": "string", "format": each} for name, each in formats.items()}
    await an_event_type(world, "formats", {"type": "object", "properties": schema})

    model = imported(await unpacked(world, (await exported(world))[1]), tmp_path).EVENTS["formats"]

    assert "x@example.com" == model.model_validate({"a": "x@example.com"}).a


async def test_an_export_without_event_types_is_an_empty_archive(world: World) -> None:
    task, link = await exported(world)

    assert (State.SUCCEEDED, 0) == (task.state, task.done)
    assert {} == json.loads((await unpacked(world, link))["openapi.json"])["webhooks"]


async def test_a_modified_link_is_refused_and_an_old_one_is_not_found(world: World) -> None:
    _, link = await exported(world)
    changes = {"signature": "0" * 64}, {"signature": ""}, {"expires": NOW}, {"id": "qtask_2ztyN7HVPWhTq7FtmTTC0yPs8ul"}

    for changed in changes:
        with pytest.raises(AppError) as refused:
            await fetched(world, link, **changed)

        assert ErrorKind.FORBIDDEN is refused.value.kind, changed

    later = ManualClock(world.services.clock.now() + DAY + 1)

    with pytest.raises(AppError) as refused:
        await fetched(world, link, Services(world.db, later, world.services.notifier, world.services.idempotency))

    assert ErrorKind.NOT_FOUND is refused.value.kind


async def test_without_the_generator_the_task_fails_and_names_the_missing_package(world: World, tmp_path: Path) -> None:
    (tmp_path / "datamodel_code_generator.py").write_text("raise ImportError")
    await an_event_type(world, "good", ORDER)

    task = await export_with(world, Generator(paths=[str(tmp_path), *sys.path]))

    assert task.error is not None
    assert (State.FAILED, "generator_missing") == (task.state, task.error.code)
    assert "tidings[export]" in task.error.detail
