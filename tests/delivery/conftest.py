# SPDX-License-Identifier: MIT
"""Fixtures for the tests of delivery."""

import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from delivery.authority import Authority
from delivery.client_kit import a_client
from tidings.delivery.client import Client


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give a certificate authority."""
    return Authority.made(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Give a client that leaves no socket open."""
    async with a_client() as client:
        yield client


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Give a socket that listens and never accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        yield listener
