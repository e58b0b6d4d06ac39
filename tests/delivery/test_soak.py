# SPDX-License-Identifier: MIT
"""All misbehaviors mixed, for long enough to reveal a leak: sockets, tasks and memory stay constant.

The short run is part of every test run. The long one belongs to `make chaos`: ten minutes, or TIDINGS_SOAK_SECONDS
seconds.
"""

import asyncio
import gc
import logging
import os
import random
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil
import pytest

import message_path
from delivery.authority import Authority
from delivery.client_kit import open_sockets, settled_sockets
from delivery.misbehaviours import ALL, LONG, Case
from delivery.receiver import OK, Peer, Receiver, Request, read, say, serve
from message_path import add_app, add_endpoint, running, terms
from tidings.storage.drivers.store import migrate, opened

LONG_SECONDS = float(os.environ.get("TIDINGS_SOAK_SECONDS", "600"))
SHORT_SECONDS = 8.0
PER_SECOND = 300
OUTSTANDING = 400
TICK = 0.02
CASES = list(ALL.values())
WEIGHTS = [1 if case in LONG.values() else 10 for case in CASES]
MB = 1024 * 1024


class MisbehavingReceiver(Receiver):
    """Misbehaves differently on each connection, and sometimes not at all; keeps no record of requests."""

    def __init__(self, *, seed: int, authority: Authority | None = None) -> None:
        super().__init__([self.follow], tls=authority.receiver_context("127.0.0.1") if authority else None)
        self._chance = random.Random(seed)  # noqa: S311 - a die
        self._stack = list({case.code: case for case in CASES}.values())
        self.drawn: set[int] = set()

    def took(self, request: Request) -> None:
        """Discard the request."""

    async def follow(self, peer: Peer) -> None:
        for _ in range(self._chance.choice((0, 0, 0, 1, 2))):
            await read(peer)
            await say(OK)(peer)
        for step in self._next().scripts[0]:
            # `serve` responds without end: all traffic would soon use this one healthy connection.
            if step is not serve:
                await step(peer)

    def _next(self) -> Case:
        """Draw from a stack that begins with one case of each code, so that a short run covers all codes."""
        if not self._stack:
            self._stack = self._chance.sample(CASES, k=len(CASES), counts=WEIGHTS)
        case = self._stack.pop()
        self.drawn.add(CASES.index(case))
        return case


@dataclass(frozen=True, slots=True)
class Sample:
    """The resources of the process at one time."""

    descriptors: int
    tasks: int
    rss_mb: float


def sample() -> Sample:
    process = psutil.Process()
    return Sample(process.num_fds(), len(asyncio.all_tasks()), process.memory_info().rss / MB)


async def test_nothing_leaks_in_the_short_run(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with caplog.at_level(logging.ERROR):
        await soak(tmp_path, authority, seconds=SHORT_SECONDS, growth_mb=15)

    assert caplog.records == []


@pytest.mark.chaos
@pytest.mark.timeout(4 * LONG_SECONDS + 120)
async def test_nothing_leaks_in_the_long_run(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with caplog.at_level(logging.ERROR):
        await soak(tmp_path, authority, seconds=LONG_SECONDS, growth_mb=8, warm=True)

    assert caplog.records == []


async def soak(folder: Path, authority: Authority, *, seconds: float, growth_mb: float, warm: bool = False) -> None:
    """Send for some time; check that the process holds no more at the end than near the beginning.

    A long run begins once every case has happened: until then each new misbehavior takes memory that the process keeps
    for reuse.
    """
    async with Receiver():
        pass  # the first server of a loop takes a descriptor that the loop keeps in reserve
    gc.collect()  # garbage of earlier tests
    before, sockets = sample(), open_sockets()
    db = await opened(f"sqlite:///{folder}/t.db")
    await migrate(db)
    async with db.write() as tx:
        # Otherwise the page cache of the growing file reaches 64 MB, which looks like a leak.
        await tx.run("PRAGMA cache_size=-1024")
    async with (
        receivers(authority) as broken,
        running(db, delivering=terms(timeout=0.5, gone_disables=False)) as path,
    ):
        apps = [await add_app(db) for _ in broken]
        for app, (receiver, host) in zip(apps, broken, strict=True):
            await add_endpoint(db, app, receiver.url.replace("127.0.0.1", host))
        warmed = 0
        while warm and len(set().union(*(receiver.drawn for receiver, _ in broken))) < len(CASES):
            warmed += (await send_for(path, apps, 1.0))[0]
        sent, samples = await send_for(path, apps, seconds)
        await path.until("delivery", 0)
        attempts = await path.count("attempt")
        codes = await path.rows("SELECT DISTINCT response_status_code FROM attempt")
    await db.close()
    gc.collect()
    await settled_sockets(sockets)
    after = sample()

    assert warmed + sent == attempts
    assert sent > seconds * PER_SECOND / 4  # a slow machine sends fewer; with none the test would show nothing
    # Most misbehaviours end a connection.
    assert sum(receiver.connections for receiver, _ in broken) > attempts / 10
    assert {(case.code,) for case in CASES} <= set(codes)
    assert after.descriptors == before.descriptors
    assert after.tasks == before.tasks
    assert_flat(samples, growth_mb)


@asynccontextmanager
async def receivers(authority: Authority) -> AsyncIterator[list[tuple[MisbehavingReceiver, str]]]:
    """Open receivers that are reached by name, by address and with TLS."""
    async with AsyncExitStack() as stack:
        broken = [await stack.enter_async_context(MisbehavingReceiver(seed=seed)) for seed in range(6)]
        secret = [
            await stack.enter_async_context(MisbehavingReceiver(seed=seed, authority=authority)) for seed in range(2)
        ]
        yield [(each, "localhost") for each in broken[:2]] + [(each, "127.0.0.1") for each in [*broken[2:], *secret]]


async def send_for(path: message_path.Path, apps: list[str], seconds: float) -> tuple[int, list[Sample]]:
    """Send at a rate, but no faster than deliveries end; return the number sent, and the samples."""
    sent, samples, until = 0, list[Sample](), monotonic() + seconds
    began = monotonic()
    while (now := monotonic()) < until:
        if await path.count("delivery") < OUTSTANDING:
            due = min(int((now - began) * PER_SECOND) - sent, PER_SECOND // 4)
            await asyncio.gather(*(path.send(apps[number % len(apps)]) for number in range(sent, sent + due)))
            sent += max(due, 0)
        if now >= began + seconds * len(samples) / 100:
            samples.append(sample())
        await asyncio.sleep(TICK)
    return sent, samples


def assert_flat(samples: list[Sample], growth_mb: float) -> None:
    """Check that the last fifth of the run holds no more than the second; the first includes the start of sending."""
    fifth = len(samples) // 5
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    for held, spare in (("descriptors", 100), ("tasks", 100), ("rss_mb", growth_mb)):
        was, is_now = (statistics.median(getattr(each, held) for each in part) for part in (early, late))
        assert is_now <= was + spare, f"{held}: {was} became {is_now}"
