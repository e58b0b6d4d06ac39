# SPDX-License-Identifier: MIT
"""What the demo shows, in order, through the official Svix SDK as a user would do it.

The default retry schedule is armed: 5 seconds, then 5 minutes. The outage lasts until the first retries have failed
too, so that what is repaired afterwards is repaired by the task and by nothing else.
"""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import svix
import uvloop
from svix import SvixAsync, SvixOptions
from svix.api import BackgroundTaskListOptions
from svix.models import (
    ApplicationIn,
    BackgroundTaskOut,
    BackgroundTaskStatus,
    EndpointIn,
    EventTypeIn,
    MessageIn,
    RecoverIn,
)

from tidings.clock import SECOND, Clock, SystemClock
from tidings.config import bypass_proxies
from tidings.demo.count import Outcome, outcome
from tidings.demo.processes import HOST, DemoError, ReceiverProcess, Service, until
from tidings.demo.tell import Bar, Teller

_EVENT_TYPE: Final = "invoice.paid"
_HEALTHY_SHARE: Final = 0.3
_SENDERS: Final = 20
_CHUNKS: Final = 400
_ATTEMPTS: Final = 2
_AT_ONCE: Final = 20
_KILL_SHARE: Final = 0.4
_LOOK_SECONDS: Final = 0.03
_DELIVERY_SECONDS: Final = 120.0
_TASK_SECONDS: Final = 300.0
_INTERRUPTED: Final = 130


def run(messages: int, *, keep: bool) -> int:
    """Show it; return the exit code."""
    bypass_proxies(HOST)
    try:
        return uvloop.run(_run(messages, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED


async def _run(messages: int, *, keep: bool) -> int:
    """Show it, and leave nothing behind however it ends, unless something shall be kept."""
    _cancel_on_signals()
    tell = Teller()
    healthy = int(messages * _HEALTHY_SHARE)
    with _stage(messages - healthy, keep=keep) as stage:
        try:
            return await Show(tell, stage).all(healthy, messages - healthy)
        except (DemoError, httpx.HTTPError, TimeoutError) as error:
            tell.line(f"The demo cannot go on: {error or type(error).__name__}", "red")
            stage.keep = False
            return 1


def _cancel_on_signals() -> None:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: this.cancel() if this else None)


@dataclass
class Stage:
    """The processes of one showing."""

    service: Service
    receiver: ReceiverProcess
    keep: bool


@contextlib.contextmanager
def _stage(failing: int, *, keep: bool) -> Iterator[Stage]:
    """Set up the service and the receiver, and take both away at the end."""
    # In small chunks the task takes seconds in place of a blink, so a viewer can follow it.
    chunk = max(1, failing * _ATTEMPTS // _CHUNKS)
    service = Service(task_chunk=chunk, delivery_concurrency=_AT_ONCE)
    receiver = None
    stage = None
    try:
        receiver = ReceiverProcess(stay=keep)
        stage = Stage(service, receiver, keep)
        yield stage
    finally:
        if stage is None or not stage.keep:
            service.remove()
            if receiver is not None:
                receiver.end()


@dataclass
class Show:
    """The story, and what has been made in the course of it."""

    tell: Teller
    stage: Stage
    clock: Clock = field(default_factory=SystemClock)
    token: str = ""
    app_id: str = ""
    endpoint_id: str = ""
    accepted: list[str] = field(default_factory=list)

    async def all(self, healthy: int, failing: int) -> int:
        """Tell it from beginning to end; return the exit code."""
        began = self.clock.monotonic()
        self.tell.console.print(
            f"[bold]tidings[/]: {healthy + failing:,} webhooks, an outage, a kill -9, nothing lost\n"
        )
        await self._start()
        await self._set_up()
        await self._deliver(healthy)
        since = self.clock.now()
        await self._break_down(failing)
        task = await self._recover(since, failing)
        await self._read_back(task)
        bill = outcome(self.accepted, await self.stage.receiver.report())
        self._settle(bill, task)
        self.tell.line(f"All of it took {self.clock.monotonic() - began:.0f} seconds.")
        self._say_what_is_kept()
        return 1 if bill.lost or bill.forged or task.status is not BackgroundTaskStatus.FINISHED else 0

    def _client(self) -> SvixAsync:
        return SvixAsync(self.token, SvixOptions(server_url=self.stage.service.url))

    async def _start(self) -> None:
        service = self.stage.service
        self.tell.step("Start the service and a receiver, each in a process of its own")
        await service.start()
        self.token = await service.token()
        self.tell.line(f"service   pid {service.pid}  {service.url}  SQLite in {service.folder}")
        self.tell.line(f"receiver  pid {self.stage.receiver.pid}  {self.stage.receiver.url}")

    async def _set_up(self) -> None:
        self.tell.step(
            f"Create an application, an event type and an endpoint with the official SDK (svix {svix.__version__})"
        )
        client = self._client()
        app = await client.application.create(ApplicationIn(name="A customer"))
        await client.event_type.create(EventTypeIn(name=_EVENT_TYPE, description="An invoice was paid"))
        endpoint = await client.endpoint.create(app.id, EndpointIn(url=self.stage.receiver.url))
        secret = await client.endpoint.get_secret(app.id, endpoint.id)
        await self.stage.receiver.control(secret=secret.key)
        self.app_id, self.endpoint_id = app.id, endpoint.id
        self.tell.line(f"{app.id}  {endpoint.id}")

    async def _deliver(self, count: int) -> None:
        self.tell.step(f"Send {count:,} messages while the receiver is well")
        took = await self._send(count)

        async def delivered() -> bool:
            return (await self.stage.receiver.counts())[0] >= count

        await until(delivered, "delivering to a healthy receiver", _DELIVERY_SECONDS)
        self.tell.line(
            f"{count:,} accepted and delivered in {took:.1f} s, each with a signature that the SDK verifies", "green"
        )

    async def _break_down(self, count: int) -> None:
        self.tell.step(f"The receiver breaks: it answers 500 to everything. Send {count:,} more")
        await self.stage.receiver.control(failing=True)
        await self._send(count)
        self.tell.line(f"{count:,} accepted: the caller does not notice")
        await self._until_failed(count, "failing once")
        self.tell.line(
            f"{count:,} deliveries failed. By the default schedule each is tried again after 5 seconds ...", "red"
        )
        await self._until_failed(2 * count, "failing twice")
        self.tell.line(f"... and {count:,} failed again; the next try would come in 5 minutes", "red")

    async def _until_failed(self, requests: int, what: str) -> None:
        async def failed() -> bool:
            return (await self.stage.receiver.counts())[1] >= requests

        await until(failed, what, _DELIVERY_SECONDS)

    async def _send(self, count: int) -> float:
        """Send messages, some at a time, and remember which were accepted; return how long it took."""
        began = self.clock.monotonic()
        client = self._client()
        numbers = iter(range(len(self.accepted), len(self.accepted) + count))

        async def sender() -> None:
            for number in numbers:
                message = MessageIn(event_type=_EVENT_TYPE, payload={"invoice": number, "cents": 100 + number})
                self.accepted.append((await client.message.create(self.app_id, message)).id)

        await asyncio.gather(*(sender() for _ in range(_SENDERS)))
        return self.clock.monotonic() - began

    async def _recover(self, since: int, failed: int) -> BackgroundTaskOut:
        self.tell.step("The receiver is well again. endpoint.recover sends what failed, as a background task")
        await self.stage.receiver.control(failing=False)
        moment = datetime.fromtimestamp(since / SECOND, UTC)
        started = await self._client().endpoint.recover(self.app_id, self.endpoint_id, RecoverIn(since=moment))
        self.tell.line(f"{started.id}: it looks at each failed attempt, and sends a message once")
        with self.tell.bar("background_task.get") as bar:
            task = await self._follow(started.id, bar, stop_at=int(failed * _KILL_SHARE))
            if task.status is BackgroundTaskStatus.RUNNING:
                await self._kill()
                task = await self._follow(started.id, bar)
            else:
                self.tell.line("It was over before the service could be killed.")
        await self._until_delivered()
        return task

    async def _follow(self, task_id: str, bar: Bar, stop_at: int | None = None) -> BackgroundTaskOut:
        """Show how far a task is until it ends, or until it has sent so many."""
        client = self._client()
        total: int = 0
        async with asyncio.timeout(_TASK_SECONDS):
            while True:
                task = await client.background_task.get(task_id)
                sent = task.data.get("messagesSent", 0)
                done, total = _how_far(task.data) or (total, total)
                bar.show(done, total, f"{sent:,} messages sent")
                if task.status is not BackgroundTaskStatus.RUNNING or (stop_at is not None and sent >= stop_at):
                    return task
                await asyncio.sleep(_LOOK_SECONDS)

    async def _kill(self) -> None:
        service = self.stage.service
        self.tell.line(f"kill -9 {service.pid}: the service is gone, in the middle of the task", "bold red")
        service.kill()
        await service.start()
        self.tell.line(
            f"started again, pid {service.pid}: the task goes on behind its last committed chunk", "bold green"
        )

    async def _until_delivered(self) -> None:
        """Wait for what the task has asked for and the service has not sent yet. What never comes is lost."""

        async def delivered() -> bool:
            return not outcome(self.accepted, await self.stage.receiver.report()).lost

        with contextlib.suppress(DemoError):
            await until(delivered, "delivering what was recovered", _DELIVERY_SECONDS)

    async def _read_back(self, task: BackgroundTaskOut) -> None:
        self.tell.step("Read the task back with background_task.list")
        page = await self._client().background_task.list(BackgroundTaskListOptions(limit=10))
        for each in page.data:
            self.tell.line(f"{each.id}  {each.task.value}  {each.status.value}  {each.data}")
        if task.id not in [each.id for each in page.data]:
            raise DemoError("the task is not in the list")

    def _settle(self, bill: Outcome, task: BackgroundTaskOut) -> None:
        self.tell.step("The bill")
        self.tell.table(
            [
                ("accepted", bill.accepted, "answers 202 to the SDK"),
                ("delivered the first time", bill.first_time, "what the receiver saw"),
                ("failed in the outage", bill.failed, "what the receiver saw"),
                ("re-sent by the task", task.data.get("messagesSent", 0), "background_task.get"),
                ("delivered after having failed", bill.repaired, "what the receiver saw"),
                ("duplicates", len(bill.duplicates), "what the receiver saw"),
                ("lost", len(bill.lost), "accepted, never delivered"),
            ]
        )
        self.tell.duplicates(bill.duplicates)
        if bill.lost:
            self.tell.line(f"Lost: {', '.join(bill.lost[:5])}", "bold red")
        if bill.forged:
            self.tell.line(f"{bill.forged} requests had a wrong signature", "bold red")
        if not bill.lost and not bill.forged:
            self.tell.line("Nothing lost, every signature verified.", "bold green")

    def _say_what_is_kept(self) -> None:
        if not self.stage.keep:
            return
        service, receiver = self.stage.service, self.stage.receiver
        self.tell.step("Still running, as you asked")
        self.tell.line(f"export TIDINGS_URL={service.url}")
        self.tell.line(f"export TIDINGS_TOKEN={self.token}")
        self.tell.line("tidings tasks list")
        self.tell.line(f"To end it: kill {service.pid} {receiver.pid}; rm -r {service.folder}")


def _how_far(data: dict[str, Any]) -> tuple[int, int] | None:
    """Return what a task has visited and what it will in all, if it says so: a finished one tells its result only."""
    progress = data.get("progress")
    if progress is None or progress["total"] is None:
        return None
    return progress["done"] + progress["skipped"], progress["total"]
