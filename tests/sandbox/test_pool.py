# SPDX-License-Identifier: MIT
"""What a script is given and may return, where its errors are, and how the runs of many endpoints share the pool."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tidings.model.transformation import Script, ScriptError, Webhook
from tidings.sandbox.pool import Sandbox, SandboxBusy, SandboxOptions
from tidings.sandbox.process import Limits
from tidings.sandbox.requests import Returned, run_request
from tidings.sandbox.run_queues import Result, RunQueues, ScriptRun

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

WEBHOOK = Webhook("https://example.com/hook", "invoice.paid", b'{ "id": 12345678901234567890 }', ("eu",))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(SandboxOptions(Limits(30.0), https_only=True))
    yield made
    await made.close()


async def test_a_script_sees_the_request_its_event_type_and_its_variables(sandbox: Sandbox) -> None:
    code = "function handler(webhook) { webhook.payload = { given: { ...webhook } }; return webhook }"
    found = await sandbox.run("ep_1", Script(code, {"TOKEN": "é"}), WEBHOOK)
    assert found.payload.decode() == (
        '{"given":{"method":"POST","url":"https://example.com/hook","eventType":"invoice.paid","channels":["eu"],'
        '"headers":{},"env":{"TOKEN":"é"},"cancel":false,"payload":{"id":12345678901234567000}}}'
    )


async def test_a_payload_that_is_not_changed_is_sent_byte_for_byte(sandbox: Sandbox) -> None:
    code = "function handler(webhook) { webhook.method = 'patch'; webhook.headers['X-A'] = 'b'; return webhook }"
    found = await sandbox.run("ep_1", Script(code), WEBHOOK)
    assert (found.method, found.url, found.headers) == ("PATCH", WEBHOOK.url, (("X-A", "b"),))
    assert found.payload == WEBHOOK.payload


@pytest.mark.parametrize("payload", [b"id=1&x=%20", b'"text"', b"7", b"\xc3\xa9\x00", b""])
async def test_a_payload_that_is_no_json_object_is_a_string(sandbox: Sandbox, payload: bytes) -> None:
    webhook = Webhook(WEBHOOK.url, "a", payload)
    same = "function handler(webhook) { return webhook }"
    assert (await sandbox.run("ep_1", Script(same), webhook)).payload == payload
    more = "function handler(w) { w.payload = typeof w.payload + w.payload.length; return w }"
    assert (await sandbox.run("ep_1", Script(more), webhook)).payload == b"string%d" % len(payload.decode())


async def test_a_payload_that_is_not_text_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(ScriptError, match="not UTF-8"):
        await sandbox.run("ep_1", Script("function handler(w) { return w }"), Webhook(WEBHOOK.url, "a", b"\xff"))


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        ("{ b: 1, a: [null, 'é'] }", '{"b":1,"a":[null,"é"]}'),
        ("'text=é'", "text=é"),
        ("''", ""),
        ("null", "null"),
        ("1.5", "1.5"),
        ("{ a: '\\ud800' }", '{"a":"\\ud800"}'),
        ("{ a: '\\0' }", '{"a":"\\u0000"}'),
    ],
)
async def test_a_new_payload_is_json_or_the_text_of_a_string(sandbox: Sandbox, payload: str, sent: str) -> None:
    found = await sandbox.run("ep_1", Script(f"const handler = (w) => ({{ ...w, payload: {payload} }})"), WEBHOOK)
    assert found.payload.decode() == sent


@pytest.mark.parametrize("to", ["w.payload = text", "w.payload = { text }", "w.headers.a = text.slice(0, 2000)"])
async def test_a_long_text_that_a_script_concatenates_is_returned(sandbox: Sandbox, to: str) -> None:
    code = f"const handler = (w) => {{ let text = ''; for (let n = 0; n < 3e4; n++) text += 'ab'; {to}; return w }}"
    found = await sandbox.run("ep_1", Script(code), WEBHOOK)
    assert "ab" * 1_000 in found.payload.decode() + str(found.headers)


async def test_an_async_handler_is_awaited(sandbox: Sandbox) -> None:
    code = "async function handler(w) { await null; await null; w.payload = { a: 1 }; return w }"
    assert (await sandbox.run("ep_1", Script(code), WEBHOOK)).payload == b'{"a":1}'


async def test_cancel_needs_nothing_else(sandbox: Sandbox) -> None:
    assert (await sandbox.run("ep_1", Script("function handler() { return { cancel: true } }"), WEBHOOK)).is_canceled


async def test_a_url_is_normalized_and_must_use_https_where_the_settings_say_so(sandbox: Sandbox) -> None:
    to = "const handler = (w) => ({{ ...w, url: '{}' }})"
    assert (await sandbox.run("ep_1", Script(to.format("HTTPS://Other.example")), WEBHOOK)).url == (
        "https://other.example/"
    )
    with pytest.raises(ScriptError, match="https when endpoint_https_only is set"):
        await sandbox.run("ep_1", Script(to.format("http://other.example")), WEBHOOK)


@pytest.mark.parametrize(
    ("code", "text", "place"),
    [
        ("function handler(webhook) {\n  let x = ;\n}", "SyntaxError: unexpected token", (2, 11)),
        ("function handler(webhook) {\n  let é = 'ü'; )\n}", "SyntaxError", (2, 18)),
        ("function handler(webhook) { return webhook", "SyntaxError", (1, 43)),
        ("export function handler(webhook) {}", "SyntaxError: unsupported keyword: export", (1, 1)),
        ("let handlers = 1;", "must declare a function named handler", None),
        ("\nundefinedFunction(); function handler(webhook) {}", "is not defined", (2, 1)),
        ("const handler = 'text';", "must declare a function named handler", None),
    ],
)
async def test_a_script_that_does_not_compile_has_an_error_with_its_place(
    sandbox: Sandbox, code: str, text: str, place: tuple[int, int] | None
) -> None:
    with pytest.raises(ScriptError, match=text) as caught:
        await sandbox.compile("app_1", code)
    assert (caught.value.line, caught.value.column) == (place or (None, None))
    assert ("line" in str(caught.value)) == (place is not None)


async def test_compiling_does_not_call_the_handler(sandbox: Sandbox) -> None:
    await sandbox.compile("app_1", "function handler() { throw new Error('called') }\n// the end")
    await sandbox.compile("app_1", "const handler = () => 1; Symbol('the value of the script')")


async def test_an_error_has_the_place_in_the_script(sandbox: Sandbox) -> None:
    with pytest.raises(ScriptError, match=r"TypeError: .* \(line 2, column 10\)") as caught:
        await sandbox.run("ep_1", Script("function handler(webhook) {\n  return webhook.a.b;\n}"), WEBHOOK)
    assert (caught.value.line, caught.value.column) == (2, 10)


async def test_more_waiting_runs_of_one_caller_than_the_limit_are_refused() -> None:
    sandbox = Sandbox(SandboxOptions(Limits(30.0), processes=1, waiting_per_key=2))
    slow = Script("function handler(w) { let n = 0; while (n < 1e6) n++; return w }")
    try:
        runs = [asyncio.create_task(sandbox.run("app_1", slow, WEBHOOK)) for _ in range(4)]
        results = await asyncio.gather(*runs, return_exceptions=True)
    finally:
        await sandbox.close()
    assert any(isinstance(result, SandboxBusy) for result in results)
    assert any(not isinstance(result, Exception) for result in results)


async def test_a_closed_pool_runs_nothing_and_its_waiting_runs_end() -> None:
    sandbox = Sandbox(SandboxOptions(Limits(30.0), processes=1))
    script = Script("function handler(w) { return w }")
    waiting = [asyncio.create_task(sandbox.run(f"ep_{number}", script, WEBHOOK)) for number in range(3)]
    await asyncio.sleep(0)
    await sandbox.close()
    assert [type(result) for result in await asyncio.gather(*waiting, return_exceptions=True)] == [SandboxBusy] * 3
    with pytest.raises(SandboxBusy):
        await sandbox.run("ep_1", script, WEBHOOK)


async def test_a_run_that_no_process_takes_in_time_ends_without_a_result(sandbox: Sandbox) -> None:
    results: list[Result] = []
    ended = asyncio.Event()

    def done(result: Result) -> None:
        results.append(result)
        ended.set()

    request = run_request(Script("function handler(w) { return w }"), WEBHOOK)
    sandbox.start("ep_1", request, asyncio.get_running_loop().time(), done)
    await ended.wait()
    assert results == [None]


# The order of runs -------------------------------------------------------------------------------------------------


def a_run(key: str) -> ScriptRun:
    return ScriptRun(key, run_request(Script("code"), WEBHOOK), 0.0, lambda _: None)


def end(queues: RunQueues, key: str, now: float = 0.0, *, is_costly: bool = False, microseconds: int = 6_000) -> None:
    queues.record(key, now, is_costly=is_costly, microseconds=microseconds)
    queues.finished(key, now)


def test_keys_take_turns_and_have_one_run_at_a_time() -> None:
    queues = RunQueues()
    runs = {name: a_run(name[0]) for name in ("a1", "a2", "a3", "b1", "c1")}
    for each in runs.values():
        queues.add(each, 0.0)
    assert [queues.next(0.0) for _ in range(4)] == [[runs["a1"]], [runs["b1"]], [runs["c1"]], []]
    end(queues, "b")
    assert queues.next(0.0) == []
    end(queues, "a")
    assert queues.next(0.0) == [runs["a2"]]


def test_after_three_costly_runs_in_a_row_a_key_waits_longer_each_time_and_others_do_not() -> None:
    queues, now = RunQueues(), 0.0
    waits = []
    for _ in range(12):
        queues.add(a_run("a"), now)
        queues.add(a_run("b"), now)
        began = now
        found = {each.key for each in (*queues.next(now), *queues.next(now))}
        assert "b" in found
        while "a" not in found:
            assert queues.unblocked_at is not None
            now = queues.unblocked_at
            found |= {each.key for each in queues.next(now)}
        waits.append(now - began)
        end(queues, "a", now, is_costly=True)
        end(queues, "b", now)
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_success_ends_the_wait_of_a_key() -> None:
    queues = RunQueues()
    for is_costly in (True, True, False, True, True):
        queues.add(a_run("a"), 0.0)
        assert queues.next(0.0)
        end(queues, "a", is_costly=is_costly)
    queues.add(a_run("a"), 0.0)
    assert queues.next(0.0)


def test_a_removed_run_does_not_start_and_its_key_is_not_doubled() -> None:
    queues = RunQueues()
    first, second, third = a_run("a"), a_run("a"), a_run("a")
    queues.add(first, 0.0)
    queues.remove(first)
    queues.add(second, 0.0)
    queues.add(third, 0.0)
    assert queues.next(0.0) == [second]
    assert queues.next(0.0) == []
    assert queues.waiting("a") == 1


def test_quick_runs_of_a_key_start_together_and_slow_ones_one_by_one() -> None:
    queues = RunQueues()
    runs = [a_run("a") for _ in range(30)]
    for each in runs:
        queues.add(each, 0.0)
    for number in range(8):
        assert queues.next(0.0) == [runs[number]]
        end(queues, "a", microseconds=5_000)
    together = queues.next(0.0)
    assert together == runs[8:16]
    assert queues.more("a", 5) == []
    assert queues.more("a", 4) == runs[16:20]
    end(queues, "a", microseconds=5_001)
    assert queues.next(0.0) == [runs[20]]


def test_runs_do_not_follow_those_of_their_key_while_another_key_waits() -> None:
    queues = RunQueues()
    for _ in range(30):
        queues.add(a_run("a"), 0.0)
    for _ in range(8):
        queues.next(0.0)
        end(queues, "a", microseconds=1)
    assert len(queues.next(0.0)) == 8
    queues.add(a_run("b"), 0.0)
    assert queues.more("a", 1) == []
    assert [each.key for each in queues.next(0.0)] == ["b"]


def test_large_runs_do_not_start_together() -> None:
    queues = RunQueues()
    large = Webhook(WEBHOOK.url, "a", bytes(200_000))
    for _ in range(20):
        queues.add(ScriptRun("a", run_request(Script("code"), large), 0.0, lambda _: None), 0.0)
    for _ in range(12):
        assert len(queues.next(0.0)) == 1
        end(queues, "a", microseconds=1)


def test_repeated_runs_precede_the_waiting_ones_in_their_order() -> None:
    queues = RunQueues()
    runs = [a_run("a") for _ in range(18)]
    for each in runs:
        queues.add(each, 0.0)
    for _ in range(8):
        queues.next(0.0)
        end(queues, "a", microseconds=1)
    assert queues.next(0.0) == runs[8:16]
    queues.record("a", 0.0, is_costly=True, microseconds=0)
    queues.repeat(runs[9:16], "a")
    queues.finished("a", 0.0)
    assert [queues.next(0.0) for _ in range(2)] == [[runs[9]], []]


async def test_a_burst_of_one_key_keeps_its_order_and_each_run_has_its_result(sandbox: Sandbox) -> None:
    code = "function handler(w) { w.payload = w.payload.n + ':' + (globalThis.n = (globalThis.n || 0) + 1); return w }"
    inputs = [Webhook(WEBHOOK.url, "a", b'{"n":%d}' % number) for number in range(60)]
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    order: list[int] = []

    def done(number: int, result: Result) -> None:
        assert isinstance(result, Returned)
        assert result.payload == b"%d:1" % number
        order.append(number)
        if len(order) == len(inputs):
            ended.set()

    for number, webhook in enumerate(inputs):
        sandbox.start("ep_1", run_request(Script(code), webhook), loop.time() + 60, partial(done, number))
    await ended.wait()
    assert order == sorted(order)
