# SPDX-License-Identifier: MIT
"""Installed machines are upgraded under load as the pages say, and the whole story of one machine."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import live
from delivery.receiver import Receiver
from deploy import packages
from deploy.machine import Machine, Prometheus, firing
from faults.kit import all_received, received, sending, stored, with_endpoint
from live import Live
from upgrade.releases import EXPANDING, NEXT, OLD, make_next, old_wheel

pytestmark = pytest.mark.chaos
MESSAGE = {"eventType": "a", "payload": {}}


@pytest.fixture(scope="module")
def old(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wheel of the old release; before its release that is this checkout's."""
    return old_wheel(tmp_path_factory.mktemp("old")) or packages.wheel_in(dist)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wheel of this checkout as the next release, with more migrations."""
    dist = packages.built(tmp_path_factory.mktemp("new"), lambda package: make_next(package, EXPANDING))
    return packages.wheel_in(dist)


@contextmanager
def running(*machines: Machine) -> Iterator[None]:
    with ExitStack() as stack:
        for machine in machines:
            machine.systemctl("start")
            stack.callback(machine.systemctl, "stop")
        yield


def version(machine: Machine) -> str:
    return packages.output([machine.root / "opt/bin/tidings", "--version"], machine.root).strip()


async def follow(machine: Machine, name: str) -> str:
    return await asyncio.to_thread(machine.follow, "upgrading.md", name)


def paths(url: str) -> dict[str, Any]:
    return {"db_dsn": url, "whitelist_subnets": "[127.0.0.1/32]", "shutdown_grace": "3"}


@pytest.mark.timeout(900)  # four installations, each a minute on a busy machine
async def test_machines_on_postgresql_are_upgraded_one_after_the_other_under_load(
    old: Path, new: Path, postgres_dsn: str, tmp_path: Path
) -> None:
    machines = [Machine(tmp_path / name, old) for name in ("a", "b")]
    for machine in machines:
        machine.install()
        machine.configure(**paths(postgres_dsn))
        machine.copy_secrets(machines[0])
    async with Receiver() as receiver:
        with running(*machines):
            servers = [await asyncio.to_thread(machine.client) for machine in machines]
            path = await asyncio.to_thread(with_endpoint, servers[0], receiver.url)
            async with sending(path, *servers, clients=2) as senders:
                await senders.take(20)
                for machine in machines:
                    machine.offer(new)
                assert f"tidings {NEXT}\n" in await follow(machines[0], "new release")
                assert "Migrations: success" in await follow(machines[0], "migrate")
                await senders.take(20)
                assert [f"tidings {OLD}"] * 2 == [version(machine) for machine in machines]
                for machine in machines:
                    await follow(machine, "replace a node")
                    await senders.take(20)
            await all_received(senders, receiver)

    assert [f"tidings {NEXT}"] * 2 == [version(machine) for machine in machines]
    assert senders.ids == await stored(postgres_dsn) == set(received(receiver))


@pytest.mark.timeout(900)
async def test_the_story_of_a_machine(old: Path, new: Path, tmp_path: Path) -> None:
    """Install, serve under the unit, fire an alert, back up, upgrade under load, restore: each step from the pages."""
    machine = Machine(tmp_path / "machine", old)
    prometheus = Prometheus(tmp_path / "prometheus", target := f"127.0.0.1:{live.free_port()}")
    machine.install()
    machine.configure(metrics_address=target, retry_schedule="[]", whitelist_subnets="[127.0.0.1/32]")
    async with Receiver() as receiver:
        with running(machine), prometheus.running():
            server = await asyncio.to_thread(machine.client)
            app_id = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
            await asyncio.to_thread(stop_a_receiver, server, app_id, prometheus)
            machine.follow("operate.md", "sqlite backup")
            lost = server.call("POST", f"/api/v1/app/{app_id}/msg", MESSAGE)[1]["id"]

            path = await asyncio.to_thread(with_endpoint, server, receiver.url)
            async with sending(path, server, clients=2) as senders:
                await senders.take(20)
                machine.offer(new)
                await follow(machine, "sqlite upgrade")
                await senders.take(20)
            await all_received(senders, receiver)
            assert f"tidings {NEXT}" == version(machine)
            assert senders.ids == await asyncio.to_thread(listed, server, path)

            machine.follow("operate.md", "sqlite restore")
            restored = await asyncio.to_thread(machine.client)
            assert 200 == restored.call("GET", f"/api/v1/app/{app_id}")[0]
            assert 404 == restored.call("GET", f"/api/v1/app/{app_id}/msg/{lost}")[0]


def listed(server: Live, path: str) -> set[str]:
    """Return the ids of all messages of an application."""
    found: set[str] = set()
    iterator = ""
    while True:
        page = server.call("GET", f"{path}?limit=250{iterator}")[1]
        found |= {each["id"] for each in page["data"]}
        if page["done"]:
            return found
        iterator = f"&iterator={page['iterator']}"


def stop_a_receiver(server: Live, app_id: str, prometheus: Prometheus) -> None:
    """Send a message to a receiver that is stopped, and wait for its alert, the only one."""
    stopped = {"url": f"http://127.0.0.1:{live.free_port()}/"}
    assert 201 == server.call("POST", f"/api/v1/app/{app_id}/endpoint", stopped)[0]
    counter = "query?query=sum(tidings_deliveries_exhausted_total)==0"
    prometheus.until(counter, lambda data: len(data["result"]) == 1)
    server.call("POST", f"/api/v1/app/{app_id}/msg", MESSAGE)
    prometheus.until("alerts", lambda data: "TidingsMessagesExhausted" in firing(data))
    prometheus.until("alerts", lambda data: {"TidingsMessagesExhausted"} == firing(data))
