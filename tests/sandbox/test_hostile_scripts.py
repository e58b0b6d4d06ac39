# SPDX-License-Identifier: MIT
"""Scripts that attack: each runs in a real child process, and harms no one but itself."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from delivery.client_kit import until
from tidings.model.transformation import Script, ScriptError, Transformed, Webhook
from tidings.sandbox import process as process_module
from tidings.sandbox.pool import Sandbox, SandboxOptions
from tidings.sandbox.process import Limits

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

WEBHOOK = Webhook("https://example.com/hook", "invoice.paid", b'{"id": 12345678901234567890, "name": "\xc3\xa9"}')
PLAIN = "function handler(webhook) { return webhook }"
SHORT = 0.3
LONG = 30.0
"""More than a slow machine needs."""


@pytest.fixture
async def sandboxes() -> AsyncIterator[Callable[..., Sandbox]]:
    made: list[Sandbox] = []

    def make(seconds: float = LONG, processes: int = 1) -> Sandbox:
        made.append(Sandbox(SandboxOptions(Limits(seconds), processes=processes)))
        return made[-1]

    yield make
    for each in made:
        await each.close()
        assert each.processes == []


async def run(sandbox: Sandbox, code: str, webhook: Webhook = WEBHOOK, key: str = "ep_1") -> Transformed:
    return await sandbox.run(key, Script(code), webhook, seconds=60)


async def refused(sandbox: Sandbox, code: str, webhook: Webhook = WEBHOOK) -> ScriptError:
    with pytest.raises(ScriptError) as caught:
        await run(sandbox, code, webhook)
    return caught.value


async def still_works(sandbox: Sandbox) -> None:
    assert (await run(sandbox, PLAIN)).payload == WEBHOOK.payload


@pytest.mark.parametrize(
    "body",
    [
        "for (;;);",
        "/^(a+)+$/.test('a'.repeat(60) + 'b')",
        "'a'.repeat(2e6).indexOf('a'.repeat(1e6) + 'b')",
        "throw { get message() { for (;;); }, toString() { for (;;); } }",
        "webhook.payload = { toJSON() { for (;;); } }; return webhook",
        "return { get method() { for (;;); } }",
        "return new Proxy(webhook, { get() { for (;;); } })",
    ],
    ids=["loop", "regular expression", "search", "error", "toJSON", "getter", "proxy"],
)
async def test_an_endless_script_is_stopped_and_the_next_one_runs(sandboxes: Callable[..., Sandbox], body: str) -> None:
    sandbox = sandboxes(SHORT)
    assert (await refused(sandbox, f"function handler(webhook) {{ {body} }}")).is_timeout
    sandbox = sandboxes()
    await still_works(sandbox)


async def test_a_late_process_is_killed_and_replaced(sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(SHORT)
    await still_works(sandbox)
    [before] = sandbox.processes
    error = await refused(sandbox, "async function handler() { for (;;) await 0 }")
    assert error.is_timeout
    await still_works(sandbox)
    [after] = sandbox.processes
    assert after != before
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell the CPU time of a child")
async def test_a_script_that_got_no_processor_in_its_time_gets_it_later(sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(SHORT)
    await still_works(sandbox)
    [pid] = sandbox.processes
    loop = asyncio.get_running_loop()
    os.kill(pid, signal.SIGSTOP)
    loop.call_later(3 * SHORT, os.kill, pid, signal.SIGCONT)
    assert (await run(sandbox, PLAIN)).payload == WEBHOOK.payload
    assert sandbox.processes == [pid]


async def test_a_script_that_gets_no_processor_at_all_is_stopped(sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(SHORT)
    await still_works(sandbox)
    [pid] = sandbox.processes
    os.kill(pid, signal.SIGSTOP)
    assert (await refused(sandbox, PLAIN)).is_timeout
    await still_works(sandbox)
    assert sandbox.processes != [pid]


@pytest.mark.parametrize(
    "body",
    [
        "const a = []; for (;;) a.push('x'.repeat(1000) + a.length)",
        "return 'x'.repeat(500e6)",
        "webhook.payload = new ArrayBuffer(1e9); return webhook",
        "let s = 'x'; for (;;) s += s",
        "webhook.payload = 'é'.repeat(6e6); return webhook",
    ],
    ids=["list", "string", "buffer", "doubling", "result"],
)
async def test_a_memory_bomb_ends_at_the_limit(sandboxes: Callable[..., Sandbox], body: str) -> None:
    sandbox = sandboxes()
    error = await refused(sandbox, f"function handler(webhook) {{ {body} }}")
    assert not error.is_timeout
    await still_works(sandbox)
    assert all(_resident_mib(pid) < 64 for pid in sandbox.processes)


def _resident_mib(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return handler(webhook) + 1", "Maximum call stack size exceeded"),
        ("let d = {}; for (let i = 0; i < 1e5; i++) d = { d }; webhook.payload = d; return webhook", "call stack"),
        ("webhook.payload = JSON.parse('['.repeat(1e5) + ']'.repeat(1e5)); return webhook", "call stack"),
        ("webhook.payload = webhook; return webhook", "circular reference"),
        ("webhook.payload = 'x'.repeat(1048577); return webhook", "more than 1048576 bytes"),
        ("webhook.payload = ['x'.repeat(1048577)]; return webhook", "more than 1048576 bytes"),
        ("webhook.headers = { x: 'y'.repeat(3e5) }; return webhook", "too large"),
        ("webhook.headers = { x: 'y'.repeat(5000) }; return webhook", "x: Invalid Header Value."),
        ("for (let i = 0; i < 51; i++) webhook.headers['x-' + i] = 'y'; return webhook", "at most 50 headers"),
        ("for (let i = 0; i < 40; i++) webhook.headers['x-' + i] = 'y'.repeat(500); return webhook", "16384 bytes"),
        ("webhook.headers = { 'x\\r\\ny': 'z' }; return webhook", "Invalid Header Name."),
        ("webhook.headers = { x: 'a\\r\\nb: c' }; return webhook", "Invalid Header Value."),
        ("webhook.headers = { x: '\\ud800' }; return webhook", "valid Unicode"),
        ("webhook.headers = { x: 1 }; return webhook", "values are strings"),
        ("webhook.headers = ['x']; return webhook", "an object whose values are strings"),
        ("webhook.headers.Host = 'other'; return webhook", "Host: Header uses a forbidden key."),
        ("webhook.headers['Webhook-Signature'] = 'v1,x'; return webhook", "forbidden key"),
        ("webhook.headers['svix-id'] = 'x'; return webhook", "forbidden key"),
        ("webhook.headers['Content-Length'] = '0'; return webhook", "forbidden key"),
        ("webhook.headers['Transfer-Encoding'] = 'chunked'; return webhook", "forbidden key"),
        ("webhook.headers.Connection = 'close'; return webhook", "forbidden key"),
        ("webhook.url = 'https://\\ud800'; return webhook", "valid Unicode"),
        ("webhook.url = 'file:///etc/passwd'; return webhook", "schemes must be http or https"),
        ("webhook.url = 'https://a\\n.b'; return webhook", "control characters"),
        ("webhook.url = {}; return webhook", "url must be a string"),
        ("webhook.url = 'https://x/' + 'y'.repeat(7e4); return webhook", "too long"),
        ("webhook.method = 'DELETE'; return webhook", "method must be one of POST, PUT, PATCH"),
        ("webhook.method = 'POST / HTTP/1.1\\r\\n'; return webhook", "method must be one of"),
        ("webhook.method = { toUpperCase: 1 }; return webhook", "method must be one of"),
        ("webhook.payload = '\\ud800'; return webhook", "valid Unicode"),
        ("webhook.payload = 'a\\0b'; return webhook", "NUL"),
        ("webhook.payload = undefined; return webhook", "payload must be a JSON value"),
        ("webhook.payload = 1n; return webhook", "BigInt"),
        ("return null", "must return the webhook object"),
        ("return [webhook]", "must return the webhook object"),
        ("return 'x'", "must return the webhook object"),
        ("return new Promise(() => {})", "never settled"),
        ("return Promise.reject(new Error('no'))", "Error: no"),
        ("throw undefined", "undefined"),
        ("throw '\\ud800'", ""),
        ("throw new Error('x'.repeat(1e6))", "Error: xxx"),
        ("return import('fs')", "could not load module"),
        ("return std.open('x')", "std is not defined"),
        ("return globalThis.process.env", "cannot read property"),
    ],
)
async def test_an_odd_result_is_an_error_and_the_next_script_runs(
    sandboxes: Callable[..., Sandbox], body: str, text: str
) -> None:
    sandbox = sandboxes()
    error = await refused(sandbox, f"function handler(webhook) {{ {body} }}")
    assert text in str(error)
    assert len(str(error)) < 600
    assert not error.is_timeout
    await still_works(sandbox)


async def test_prototype_tricks_change_no_later_run_and_no_check(sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes()
    tricks = """
    JSON.stringify = () => "{}"; JSON.parse = null; String.prototype.includes = () => false; Array.isArray = null;
    Promise.prototype.then = null; TypeError = null; Object.prototype.url = "http://10.0.0.1/"; Object.create = null;
    function handler(webhook) { return { __proto__: webhook, method: METHOD, payload: {} } }
    """
    with pytest.raises(ScriptError, match="method must be one of"):
        await run(sandbox, tricks.replace("METHOD", "'DELETE'"))
    assert await run(sandbox, tricks.replace("METHOD", "'PUT'")) == Transformed("PUT", WEBHOOK.url, (), b"{}")
    with pytest.raises(ScriptError, match="values are strings"):
        await run(sandbox, "Object.prototype.toJSON = () => ({ a: 1 });" + PLAIN)
    await still_works(sandbox)


async def test_a_context_is_fresh_for_each_run(sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes()
    counting = "globalThis.n = (globalThis.n || 0) + 1; function handler(w) { w.payload = { n }; return w }"
    assert [(await run(sandbox, counting)).payload for _ in range(3)] == [b'{"n":1}'] * 3


async def test_a_process_that_is_killed_from_outside_is_replaced_and_the_run_repeated(
    sandboxes: Callable[..., Sandbox],
) -> None:
    sandbox = sandboxes()
    await still_works(sandbox)
    [pid] = sandbox.processes
    os.kill(pid, signal.SIGSTOP)  # so that the run is in flight when the process ends
    running = asyncio.create_task(run(sandbox, PLAIN))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    assert (await running).payload == WEBHOOK.payload
    assert sandbox.processes != [pid]


async def test_a_run_whose_second_process_ends_too_is_an_error(sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes()
    await still_works(sandbox)
    running = asyncio.create_task(run(sandbox, "function handler() { for (;;); }"))
    killed: set[int] = set()
    while not running.done():
        for pid in set(sandbox.processes) - killed:
            if sandbox.running:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        await asyncio.sleep(0.01)
    with pytest.raises(ScriptError, match="the process of the script ended while it ran"):
        await running
    assert len(killed) == 2
    await still_works(sandbox)


ORDERED = """
function handler(webhook) {
  if (webhook.payload.n === BAD) { BODY }
  webhook.payload = webhook.payload.n;
  return webhook;
}
"""


async def burst(sandbox: Sandbox, code: str, number: int = 40) -> list[str]:
    """Run a script for many messages at once, which are sent to the child together; return what became of each."""

    async def one(at: int) -> str:
        try:
            return (await run(sandbox, code, Webhook(WEBHOOK.url, "a", b'{"n":%d}' % at))).payload.decode()
        except ScriptError as error:
            return error.fault.value

    return await asyncio.gather(*(one(at) for at in range(number)))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("for (;;);", "timeout"),
        ("const a = []; for (;;) a.push('x'.repeat(1000) + a.length)", "memory"),
        ("throw new Error('no')", "error"),
    ],
    ids=["loop", "bomb", "error"],
)
async def test_a_bad_run_ends_alone_and_those_sent_with_it_run(body: str, fault: str) -> None:
    sandbox = Sandbox(SandboxOptions(Limits(LONG if fault != "timeout" else 1.5), processes=1, waiting_per_key=100))
    try:
        found = await burst(sandbox, ORDERED.replace("BODY", body).replace("BAD", "20"))
    finally:
        await sandbox.close()
    assert [fault if number == 20 else str(number) for number in range(40)] == found


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of other systems does not do it")
async def test_a_child_ends_with_its_parent_also_in_an_endless_script() -> None:
    code = """
import asyncio, sys
from tidings.sandbox.pool import Sandbox, SandboxOptions
from tidings.sandbox.process import Limits
from tidings.model.transformation import Script, Webhook
async def main():
    sandbox = Sandbox(SandboxOptions(Limits(600.0), processes=1))
    script = Script("function handler() { for (;;); }")
    run = asyncio.create_task(sandbox.run("ep_1", script, Webhook("https://x.y/", "a", b"{}")))
    while not sandbox.running:
        await asyncio.sleep(0.01)
    print(sandbox.processes[0], flush=True)
    await run
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await until(lambda: not _is_alive(child))


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status  # nothing may reap it here


FAKE = """
import os, struct, sys
REPLY = struct.Struct("!QBIII")
def frame(number, head=b"{}", payload=b"", status=0):
    return REPLY.pack(number, status, 0, len(head), len(payload)) + head + payload
os.write(1, frame(0, b'{"way": "seccomp"}'))
while True:
    os.read(0, 1 << 20)
    {reply}
"""


@pytest.mark.parametrize(
    "reply",
    [
        "os.write(1, frame(77))",
        "os.write(1, frame(0))",
        "os.write(1, frame(1) + frame(2))",
        "os.write(1, REPLY.pack(1, 0, 0, 1 << 31, 0))",
        "os.write(1, REPLY.pack(1, 0, 0, 2, 1 << 31))",
        "os.write(1, b'HTTP/1.1 200 OK' * 100)",
        "os._exit(0)",
    ],
    ids=["other number", "hello again", "two replies", "huge head", "huge payload", "not a frame", "exit"],
)
async def test_a_child_that_breaks_the_framing_is_killed(
    sandboxes: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    fake = [sys.executable, "-c", FAKE.replace("{reply}", reply)]
    monkeypatch.setattr(process_module, "command", lambda *_: fake)
    sandbox = sandboxes()
    with pytest.raises(ScriptError, match="the process of the script ended while it ran"):
        await run(sandbox, PLAIN)


@pytest.mark.parametrize(
    ("head", "status"), [(b"[]", 0), (b"\xff", 0), (b'{"url": 1}', 1), (b"{", 2), (b'{"text": 1}', 3), (b"{}", 9)]
)
async def test_a_child_that_sends_an_invalid_reply_fails_its_run_only(
    sandboxes: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, head: bytes, status: int
) -> None:
    reply = f"os.write(1, frame(1, {head!r}, b'', {status}))"
    monkeypatch.setattr(process_module, "command", lambda *_: [sys.executable, "-c", FAKE.replace("{reply}", reply)])
    sandbox = sandboxes()
    with pytest.raises(ScriptError):
        await run(sandbox, PLAIN)
