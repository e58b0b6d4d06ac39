# SPDX-License-Identifier: MIT
"""The steps of the demo, run through the official Svix SDK as a user would.

The retry schedule is the default: 5 seconds, then 5 minutes. The outage lasts until the first retries have failed as
well, so that the recover task alone delivers the messages afterwards.
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
from tidings.demo.count import DemoResult, result_of
from tidings.demo.narrator import Bar, Narrator
from tidings.demo.processes import HOST, DemoError, ReceiverProcess, Service, until
from tidings.process import loop

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
    """Run the demo with a number of messages; return the exit code.

    With `keep`, the service and the receiver run until Ctrl-C.
    """
    bypass_proxies(HOST)
    try:
        return loop.run(_run(messages, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED


async def _run(messages: int, *, keep: bool) -> int:
    """Run the demo and remove its processes and files, however it ends; with `keep`, after Ctrl-C."""
    _cancel_on_signals()
    narrator = Narrator()
    healthy = int(messages * _HEALTHY_SHARE)
    with _stage(messages - healthy) as stage:
        show = Show(narrator, stage)
        try:
            code = await show.run(healthy, messages - healthy)
        except (DemoError, httpx.HTTPError, TimeoutError) as error:
            narrator.line(f"The demo cannot continue: {error or type(error).__name__}", "red")
            return 1
        show.explain_console(kept=keep)
        if keep:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return code


def _cancel_on_signals() -> None:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: this.cancel() if this else None)


@dataclass
class Stage:
    """The processes of one run."""

    service: Service
    receiver: ReceiverProcess


@contextlib.contextmanager
def _stage(failing: int) -> Iterator[Stage]:
    """Start the receiver, prepare the service, and remove both at the end."""
    # Small chunks make the task last for seconds, so that its progress is visible.
    chunk = max(1, failing * _ATTEMPTS // _CHUNKS)
    service = Service(task_chunk=chunk, delivery_concurrency=_AT_ONCE)
    receiver = None
    try:
        receiver = ReceiverProcess()
        yield Stage(service, receiver)
    finally:
        service.remove()
        if receiver is not None:
            receiver.end()


@dataclass
class Show:
    """The steps of the demo and the objects they have created."""

    narrator: Narrator
    stage: Stage
    clock: Clock = field(default_factory=SystemClock)
    token: str = ""
    app_id: str = ""
    endpoint_id: str = ""
    accepted: list[str] = field(default_factory=list)

    async def run(self, healthy: int, failing: int) -> int:
        """Run every step; return the exit code."""
        began = self.clock.monotonic()
        self.narrator.console.print(
            f"[bold]tidings[/]: {healthy + failing:,} webhooks, an outage, a kill -9, nothing lost\n"
        )
        await self._start()
        await self._set_up()
        await self._deliver(healthy)
        since = self.clock.now()
        await self._break_down(failing)
        task = await self._recover(since, failing)
        await self._read_back(task)
        result = result_of(self.accepted, await self.stage.receiver.report())
        self._print_result(result, task)
        self.narrator.line(f"The demo took {self.clock.monotonic() - began:.0f} seconds.")
        return 1 if result.lost or result.invalid_signatures or task.status is not BackgroundTaskStatus.FINISHED else 0

    def _client(self) -> SvixAsync:
        return SvixAsync(self.token, SvixOptions(server_url=self.stage.service.url))

    async def _start(self) -> None:
        service = self.stage.service
        self.narrator.step("Start the service and a receiver, each in its own process")
        await service.start()
        self.token = await service.token()
        self.narrator.line(f"service   pid {service.pid}  {service.url}  SQLite in {service.folder}")
        self.narrator.line(f"receiver  pid {self.stage.receiver.pid}  {self.stage.receiver.url}")

    async def _set_up(self) -> None:
        self.narrator.step(
            f"Create an application, an event type and an endpoint with the official SDK (svix {svix.__version__})"
        )
        client = self._client()
        app = await client.application.create(ApplicationIn(name="A customer"))
        await client.event_type.create(EventTypeIn(name=_EVENT_TYPE, description="An invoice was paid"))
        endpoint = await client.endpoint.create(app.id, EndpointIn(url=self.stage.receiver.url))
        secret = await client.endpoint.get_secret(app.id, endpoint.id)
        await self.stage.receiver.configure(secret=secret.key)
        self.app_id, self.endpoint_id = app.id, endpoint.id
        self.narrator.line(f"{app.id}  {endpoint.id}")

    async def _deliver(self, count: int) -> None:
        self.narrator.step(f"Send {count:,} messages while the receiver is healthy")
        took = await self._send(count)

        async def delivered() -> bool:
            return (await self.stage.receiver.counts())[0] >= count

        await until(delivered, "delivering to a healthy receiver", _DELIVERY_SECONDS)
        self.narrator.line(
            f"{count:,} accepted and delivered in {took:.1f} s, each with a signature that the SDK verifies", "green"
        )

    async def _break_down(self, count: int) -> None:
        self.narrator.step(f"The receiver fails: it answers every request with 500. Send {count:,} more")
        await self.stage.receiver.configure(failing=True)
        await self._send(count)
        self.narrator.line(f"{count:,} accepted: the caller is not affected")
        await self._until_failed(count, "failing once")
        self.narrator.line(
            f"{count:,} deliveries failed. The default retry schedule sends each again after 5 seconds ...", "red"
        )
        await self._until_failed(2 * count, "failing twice")
        self.narrator.line(f"... and {count:,} failed again; the next retry is due in 5 minutes", "red")

    async def _until_failed(self, requests: int, what: str) -> None:
        async def failed() -> bool:
            return (await self.stage.receiver.counts())[1] >= requests

        await until(failed, what, _DELIVERY_SECONDS)

    async def _send(self, count: int) -> float:
        """Send messages concurrently and record the accepted ones; return the duration in seconds."""
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
        self.narrator.step(
            "The receiver is healthy again. The background task endpoint.recover resends every failed message"
        )
        await self.stage.receiver.configure(failing=False)
        start = datetime.fromtimestamp(since / SECOND, UTC)
        started = await self._client().endpoint.recover(self.app_id, self.endpoint_id, RecoverIn(since=start))
        self.narrator.line(f"{started.id} reads each failed attempt and resends each message once")
        with self.narrator.bar("background_task.get") as bar:
            task = await self._follow(started.id, bar, stop_at=int(failed * _KILL_SHARE))
            bar.stop()
            if task.status is BackgroundTaskStatus.RUNNING:
                await self._kill()
                task = await self._follow(started.id, bar)
            else:
                self.narrator.line("The task finished before the service could be killed.")
        await self._until_delivered()
        return task

    async def _follow(self, task_id: str, bar: Bar, stop_at: int | None = None) -> BackgroundTaskOut:
        """Show the progress of a task until it ends, or until it has sent `stop_at` messages."""
        client = self._client()
        total: int = 0
        async with asyncio.timeout(_TASK_SECONDS):
            while True:
                task = await client.background_task.get(task_id)
                sent = task.data.get("messagesSent", 0)
                done, total = _progress(task.data) or (total, total)
                bar.update(done, total, f"{sent:,} messages sent")
                if task.status is not BackgroundTaskStatus.RUNNING or (stop_at is not None and sent >= stop_at):
                    return task
                await asyncio.sleep(_LOOK_SECONDS)

    async def _kill(self) -> None:
        service = self.stage.service
        self.narrator.line(f"kill -9 {service.pid}: the service dies in the middle of the task", "bold red")
        service.kill()
        await service.start()
        self.narrator.line(
            f"restarted, pid {service.pid}: the task continues after its last committed chunk", "bold green"
        )

    async def _until_delivered(self) -> None:
        """Wait until every accepted message is delivered. Messages that miss the timeout count as lost."""

        async def delivered() -> bool:
            return not result_of(self.accepted, await self.stage.receiver.report()).lost

        with contextlib.suppress(DemoError):
            await until(delivered, "delivering the recovered messages", _DELIVERY_SECONDS)

    async def _read_back(self, task: BackgroundTaskOut) -> None:
        self.narrator.step("Read the task back with background_task.list")
        page = await self._client().background_task.list(BackgroundTaskListOptions(limit=10))
        for each in page.data:
            self.narrator.line(f"{each.id}  {each.task.value}  {each.status.value}  {each.data}")
        if task.id not in [each.id for each in page.data]:
            raise DemoError("the task is not in the list")

    def _print_result(self, result: DemoResult, task: BackgroundTaskOut) -> None:
        self.narrator.step("Compare the accepted messages with the requests that the receiver got")
        self.narrator.table(
            [
                ("accepted", result.accepted, "202 responses to the SDK"),
                ("delivered by the first attempt", result.first_time, "requests to the receiver"),
                ("failed during the outage", result.failed, "requests to the receiver"),
                ("resent by the task", task.data.get("messagesSent", 0), "background_task.get"),
                ("delivered after a failure", result.recovered, "requests to the receiver"),
                ("duplicates", len(result.duplicates), "requests to the receiver"),
                ("lost", len(result.lost), "accepted but never delivered"),
            ]
        )
        self.narrator.duplicates(result.duplicates)
        if result.lost:
            self.narrator.line(f"Lost: {', '.join(result.lost[:5])}", "bold red")
        if result.invalid_signatures:
            self.narrator.line(f"{result.invalid_signatures} requests had an invalid signature", "bold red")
        if not result.lost and not result.invalid_signatures:
            self.narrator.line("Nothing lost, every signature verified.", "bold green")

    def explain_console(self, *, kept: bool) -> None:
        """Print how to look at the result in the console."""
        if not kept:
            self.narrator.line("`tidings demo --keep` leaves all this running, to look at it in the console.")
            return
        url = self.stage.service.url
        self.narrator.step("Look at the result in the console; Ctrl-C ends the service and deletes its database")
        self.narrator.line(f"{url}/console  (sign in with the token below)")
        self.narrator.line(f"export TIDINGS_URL={url}")
        self.narrator.line(f"export TIDINGS_TOKEN={self.token}")
        self.narrator.line("tidings tasks list")


def _progress(data: dict[str, Any]) -> tuple[int, int] | None:
    """Return the visited and the total items of a task, or None: a finished task reports only its result."""
    progress = data.get("progress")
    if progress is None or progress["total"] is None:
        return None
    return progress["done"] + progress["skipped"], progress["total"]
