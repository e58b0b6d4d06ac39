# SPDX-License-Identifier: MIT
"""The documents that commands read: files, or standard input."""

import sys
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from tidings.cli.remote import BadArgumentError
from tidings.model import yaml_text

BYTES_MAX: Final = 32 * 1024 * 1024
"""Maximum size of a document. The server has a lower limit, which is a setting."""
_INPUT: Final = "-"

DocumentArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="FILE", help="A file in YAML or JSON, or - for standard input.")
]


def read_text(name: str) -> str:
    """Return the text of a file, or of standard input for `-`. Raises `BadArgumentError` and `OSError`."""
    if name == _INPUT:
        content = sys.stdin.buffer.read(BYTES_MAX + 1)
    else:
        with Path(name).open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise BadArgumentError(f"{label_of(name)} has more than {BYTES_MAX // 2**20} MiB; split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadArgumentError(f"{label_of(name)} is not text in UTF-8; convert it") from error


def read_value(name: str) -> object:
    """Return the value of a document in YAML or JSON. Raises `BadArgumentError` and `OSError`."""
    try:
        return yaml_text.parsed(read_text(name))
    except yaml_text.YamlError as error:
        raise BadArgumentError(f"{label_of(name)} is not YAML or JSON: {error}") from error


def label_of(name: str) -> str:
    """Return how an error names a document."""
    return "the standard input" if name == _INPUT else name
