# SPDX-License-Identifier: MIT
"""Generate clients from our OpenAPI document with OpenAPI Generator, and read their documentation."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
GENERATOR = Path(sys.executable).with_name("openapi-generator-cli")
NODE_FOLDER = CHECKOUT / ".venv" / "node"
SECONDS = 60
JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""For a program that runs for seconds: the optimizations for long runs would add half of the time."""

TASKS = "/api/v1/background-task"
TASK = "/api/v1/background-task/{task_id}"
OLD_OPERATIONS = {
    TASKS: "list_background_tasks_api_v1_background_task_get",
    TASK: "get_background_task_api_v1_background_task_task_id_get",
}
NEWER_PARAMETERS = ("status", "task")

_CALL = re.compile(r"^\[\*\*(?P<name>\w+)\*\*\]\(.*\) \| \*\*(?P<method>[A-Z]+)\*\* (?P<path>\S+) \|", re.MULTILINE)
_RETURNS = re.compile(r"^> (?P<type>\w+) (?P<name>\w+)\(", re.MULTILINE)
_PARAMETER = re.compile(r"^ +\*\*(?P<name>\w+)\*\* \| \[?\*\*\[?(?P<type>\w+)\]?\*\*", re.MULTILINE)


def require(present: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Skip if a tool is absent; a CI machine with the tool's runtime must have the tool."""
    if not present:
        pytest.skip(f"{what} is absent")


def require_generator() -> None:
    """Skip without Java; with Java, `make test` has installed the generator."""
    java = subprocess.run(["java", "-version"], capture_output=True, check=False) if shutil.which("java") else None
    require(java is not None and java.returncode == 0, "a Java runtime, for OpenAPI Generator,")
    _installed(GENERATOR.exists(), "openapi-generator-cli")


def require_node() -> None:
    """Skip without Node.js."""
    require(shutil.which("node") is not None and shutil.which("npm") is not None, "Node.js, for the TypeScript client,")
    _installed((NODE_FOLDER / "node_modules" / "typescript").is_dir(), "the TypeScript compiler")


def _installed(present: bool, what: str) -> None:  # noqa: FBT001 - as above
    if not present and os.environ.get("CI") == "true":
        pytest.fail(f"{what} is absent, and `make test` installs it")
    require(present, what)


def generate(language: str, document: dict[str, Any], folder: Path, *options: str) -> Path:
    """Generate a client; return its folder."""
    source = folder / f"{language}.json"
    source.write_text(json.dumps(document))
    target = folder / language
    command = [str(GENERATOR), "generate", "-q", "-g", language, "-i", str(source), "-o", str(target), *options]
    environment = {**os.environ, "JAVA_TOOL_OPTIONS": f"{JAVA} {os.environ.get('JAVA_TOOL_OPTIONS', '')}"}
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return target


def as_before(document: dict[str, Any]) -> dict[str, Any]:
    """Derive the older client's document: its operation ids, slashes and parameters, and no security scheme."""
    derived = copy.deepcopy(document)
    derived["components"].pop("securitySchemes", None)
    derived.pop("security", None)
    derived["paths"] = {f"{path}/": {"get": _older(derived["paths"][path]["get"], path)} for path in OLD_OPERATIONS}
    return derived


def _older(operation: dict[str, Any], path: str) -> dict[str, Any]:
    operation.pop("security", None)
    operation["operationId"] = OLD_OPERATIONS[path]
    kept = [each for each in operation["parameters"] if each["name"] not in NEWER_PARAMETERS]
    key = {"name": "idempotency-key", "in": "header", "required": False, "schema": {"type": "string"}}
    operation["parameters"] = [*kept, key]
    return operation


def documented(page: str) -> dict[str, object]:
    """Return the calls that a client's documentation page lists, without prose."""
    parts = re.split(r"^# \*\*", page, flags=re.MULTILINE)
    return {
        "calls": sorted(match.group("name", "method", "path") for match in _CALL.finditer(parts[0])),
        "returns": sorted(match.group("name", "type") for match in _RETURNS.finditer(page)),
        "parameters": {part.partition("**")[0]: sorted(_parameters(part)) for part in parts[1:]},
    }


def _parameters(part: str) -> set[tuple[str, str]]:
    section = part.partition("### Parameters")[2].partition("### Return type")[0]
    return {(match["name"], match["type"]) for match in _PARAMETER.finditer(section)}
