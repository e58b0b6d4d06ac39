# SPDX-License-Identifier: MIT
"""A live server on each database, an organization for each test, and a receiver that checks signatures."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

import live
from postgres import Server
from sdk.recorder import Recorder, recording
from tidings.demo.processes import ReceiverProcess


@dataclass(frozen=True)
class Tenant:
    """A test's share of a common server: the address, and a token or an API key of an empty organization."""

    url: str
    token: str


# Neither server retries by itself: only the test's own calls cause a resend.


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Live]:
    folder = tmp_path_factory.mktemp("sdk")
    with live.serving(f"sqlite:///{folder}/t.db", folder, retry_schedule="[]") as running:
        yield running


@pytest.fixture(scope="session")
def postgresql_server(postgres_cluster: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Live]:
    name = postgres_cluster.create_database()
    with live.serving(postgres_cluster.dsn(name), tmp_path_factory.mktemp("sdk"), retry_schedule="[]") as running:
        yield running
    postgres_cluster.drop_database(name)


@pytest.fixture
def new_tenant(request: pytest.FixtureRequest, database_kind: str) -> Callable[[], Tenant]:
    """Give a function that returns a new share of the server, once on each database.

    On SQLite a share has an API key, on PostgreSQL a token.
    """
    running: live.Live = request.getfixturevalue(f"{database_kind}_server")

    def tenant() -> Tenant:
        org_id = f"org_{uuid.uuid4().hex}"
        token = running.token_of(org_id)
        return Tenant(running.url, _key(running.url, org_id, token) if database_kind == "sqlite" else token)

    return tenant


@pytest.fixture
def server(new_tenant: Callable[[], Tenant]) -> Tenant:
    """Give a share of the server."""
    return new_tenant()


@pytest.fixture
def recorder(request: pytest.FixtureRequest, database_kind: str) -> Iterator[Recorder]:
    """Give a proxy of the server that records the operations that are called."""
    running: live.Live = request.getfixturevalue(f"{database_kind}_server")
    with recording(running.url) as found:
        yield found


def _key(url: str, org_id: str, token: str) -> str:
    """Return a new API key of an organization. SDKs take what follows a dot in a token for the name of a region."""
    path = f"/api/v1/management/authentication/{org_id}/api-token"
    response = httpx.post(url + path, json={"name": "sdk"}, headers={"authorization": f"Bearer {token}"})
    key: str = response.json()["token"]
    return key


@pytest.fixture
def receiver() -> Iterator[ReceiverProcess]:
    process = ReceiverProcess()
    yield process
    process.end()
