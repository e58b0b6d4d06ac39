# SPDX-License-Identifier: MIT
"""A live server on each database, and a receiver that checks signatures with the official library."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import live
from tidings.demo.processes import ReceiverProcess


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[live.Live]:
    """Give a server that never tries again by itself: what is sent again is sent by what the test does."""
    with live.serving(database_url, tmp_path, retry_schedule="[]") as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[ReceiverProcess]:
    process = ReceiverProcess(stay=False)
    yield process
    process.end()
