# SPDX-License-Identifier: MIT
"""Child processes that generate models: their limits and their ends, with a fake generator library that misbehaves."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.kit import spin
from tidings.tasks.archive import ModelRequest
from tidings.tasks.generator import ChildLost, Generator
from tidings.tasks.modeling import CPU_SECONDS

LIBRARY = """
import os, resource, sys, time

class Formatter: BUILTIN = 0
class InputFileType: JsonSchema = 0
class PythonVersion: PY_311 = 0

def generate(schema, *, class_name, **_):
    print("printed", flush=True)
    if class_name == "Loop":
        while True: pass
    if class_name == "Sleep":
        os.utime({up!r})
        time.sleep(3600)
    if class_name == "Hog":
        bytearray(1 << 30)
        hogs = [bytearray(1 << 24) for _ in range(64)]
    if class_name == "Exit":
        os._exit(0)
    if class_name == "Many":
        return "x" * (5 << 20) + "\\nclass Many: pass"
    facts = {{
        "environment": dict(os.environ),
        "descriptors": len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0,
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "memory": resource.getrlimit(resource.RLIMIT_AS),
        "cpu": resource.getrlimit(resource.RLIMIT_CPU)[0],
        "forked": "asyncio" in sys.modules,
    }}
    return f"class {{class_name}}: facts = {{facts!r}}"
"""


def named(name: str) -> ModelRequest:
    return ModelRequest(name.lower(), name, "", False, None, None)  # noqa: FBT003 - as it is stored


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., Generator]:
    """Give a factory of generators whose library misbehaves for some names."""
    package = tmp_path / "datamodel_code_generator"
    package.mkdir()
    (tmp_path / "up").touch()
    os.utime(tmp_path / "up", (0, 0))
    (package / "__init__.py").write_text(LIBRARY.format(up=str(tmp_path / "up")))
    (package / "enums.py").write_text("class DataModelType: PydanticV2BaseModel = 0")

    def generator(seconds: float = 60.0, cpu_seconds: int = CPU_SECONDS) -> Generator:
        return Generator(seconds=seconds, cpu_seconds=cpu_seconds, paths=[str(tmp_path), *sys.path])

    return generator


async def test_a_child_has_no_environment_and_limits(
    fake: Callable[..., Generator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDINGS_JWT_SECRET", "not for children")

    ((_, piece),) = (await fake().generate([named("Facts")])).pieces

    text = piece.decode()
    assert "not for children" not in text
    assert "'memory': (536870912, 536870912)" in text
    assert "'core': (0, 0)" in text
    assert "'forked': False" in text
    assert int(text.partition("'cpu': ")[2].partition(",")[0]) in range(CPU_SECONDS, 2 * CPU_SECONDS)


@pytest.mark.parametrize("name", ["Hog", "Exit"])
async def test_only_the_type_that_kills_its_child_is_skipped(fake: Callable[..., Generator], name: str) -> None:
    generator = fake()

    made = await generator.generate([named("First"), named(name), named("Last")])

    assert ["first", "last"] == [each for each, _ in made.pieces]
    ((skipped, reason),) = made.skipped
    assert name.lower() == skipped
    assert reason.startswith("too_costly: " if name == "Exit" else ("too_costly: ", "unfit_schema: MemoryError"))
    assert set() == generator.processes


async def test_a_type_that_never_ends_is_ended_by_its_cpu_time(
    fake: Callable[..., Generator],
) -> None:
    made = await fake(cpu_seconds=1).generate([named("Loop"), named("Last")])

    assert (["last"], 1) == ([each for each, _ in made.pieces], made.lost)


async def test_a_type_that_sleeps_is_ended_by_the_parent(fake: Callable[..., Generator]) -> None:
    generator = fake(seconds=1.0)

    made = await generator.generate([named("Sleep")])

    assert ([], 1) == (made.pieces, made.lost)
    assert set() == generator.processes


async def test_endless_models_are_skipped(fake: Callable[..., Generator]) -> None:
    made = await fake().generate([named("Many")])

    assert [("many", "too_large: the models have more than 4 MiB")] == made.skipped


async def test_a_canceled_generator_ends_its_child(fake: Callable[..., Generator], tmp_path: Path) -> None:
    generator = fake()
    working = asyncio.create_task(generator.generate([named("Sleep")]))
    await spin(lambda: (tmp_path / "up").stat().st_mtime > 0)
    (pid,) = generator.processes

    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    assert set() == generator.processes
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_child_that_cannot_start_is_no_fault_of_a_type(tmp_path: Path) -> None:
    (tmp_path / "msgspec.py").write_text("raise ImportError")

    with pytest.raises(asyncio.IncompleteReadError):
        await Generator(paths=[str(tmp_path), *sys.path]).generate([named("First")])


async def test_an_archive_that_cannot_be_packed_is_an_error() -> None:
    with pytest.raises(ChildLost):
        await Generator().pack([b"broken"])
