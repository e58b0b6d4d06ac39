# SPDX-License-Identifier: MIT
"""Clients generated from our document have the calls that their users know, and all of them work."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from codegen.conftest import Service
from codegen.generator import (
    NODE_FOLDER,
    OLD_OPERATIONS,
    SECONDS,
    TASK,
    TASKS,
    as_before,
    documented,
    generate,
    require_generator,
    require_node,
)

HERE = Path(__file__).resolve().parent
PAGE = Path("docs") / "BackgroundTasksApi.md"


@pytest.fixture(scope="module")
def typescript(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_generator()
    folder = tmp_path_factory.mktemp("typescript")
    # The generator writes unnamed imports for webhooks, in every document that has them.
    document = {name: part for name, part in service.document.items() if name != "webhooks"}
    return generate("typescript", document, folder, "--additional-properties=useObjectParameters=true")


@pytest.fixture(scope="module")
def python(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_generator()
    return generate("python", as_before(service.document), tmp_path_factory.mktemp("python"))


def test_the_typescript_client_has_the_calls_by_name(typescript: Path) -> None:
    source = (typescript / "apis" / "BackgroundTasksApi.ts").read_text()

    assert "class BackgroundTasksApiRequestFactory" in source
    assert "async v1BackgroundTaskGet(" in source
    assert "async v1BackgroundTaskList(" in source


def test_the_typescript_client_documents_the_known_calls(typescript: Path, shared_dir: Path) -> None:
    known = (shared_dir / "contract" / "seeds" / "typescript-background-tasks-api.md").read_text()

    assert documented(known) == documented((typescript / PAGE).read_text())


def test_the_older_python_client_documents_the_known_calls(python: Path, shared_dir: Path) -> None:
    known = (shared_dir / "contract" / "seeds" / "python-background-tasks-api.md").read_text()

    assert documented(known) == documented((python / PAGE).read_text())


def expected(tasks: list[str]) -> dict[str, Any]:
    newest_first = tasks[::-1]
    return {
        "one": tasks[0],
        "missing": 404,
        "all": newest_first,
        "ascending": tasks,
        "pages": [newest_first[:2], newest_first[2:]],
    }


def test_every_call_of_the_older_python_client_works(python: Path, service: Service) -> None:
    paths = os.pathsep.join((str(python), os.environ.get("PYTHONPATH", "")))

    found = _run([sys.executable, str(HERE / "old_client.py")], service, python, PYTHONPATH=paths)

    assert expected(service.tasks) == found


def test_every_call_of_the_typescript_client_works(typescript: Path, service: Service) -> None:
    require_node()
    shutil.copy(HERE / "client.ts", typescript / "client.ts")
    modules = typescript / "node_modules"
    modules.symlink_to(NODE_FOLDER / "node_modules")
    # TypeScript's own declarations need no check, and the compiled files are not used.
    quick = ("--skipLibCheck", "--declaration", "false", "--sourceMap", "false")
    compiler = ["node", str(modules / "typescript" / "bin" / "tsc"), "--project", ".", *quick]
    compiled = subprocess.run(compiler, cwd=typescript, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert compiled.returncode == 0, compiled.stdout

    found = _run(["node", str(typescript / "dist" / "client.js"), json.dumps(service.given)], service, typescript)

    assert {**expected(service.tasks), "updated": True, "none": [[], []]} == found


def _run(command: list[str], service: Service, folder: Path, **environment: str) -> dict[str, Any]:
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        input=json.dumps(service.given),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_the_older_document_differs_only_where_necessary(service: Service) -> None:
    derived = as_before(service.document)

    assert {f"{path}/" for path in OLD_OPERATIONS} == set(derived["paths"])
    assert service.document["components"]["schemas"] == derived["components"]["schemas"]
    assert "v1.background-task.list" == service.document["paths"][TASKS]["get"]["operationId"]
    assert "v1.background-task.get" == service.document["paths"][TASK]["get"]["operationId"]
