# SPDX-License-Identifier: MIT
"""The event loops of the tests and of the service."""

import asyncio
import socket
from pathlib import Path

import pytest
import uvloop

import tidings.process.loop
from delivery.receiver import Receiver, answer
from faults.kit import ended, with_endpoint
from live import Live
from loop import Loop

WITHOUT_UVLOOP = """
import sys
sys.modules["uvloop"] = None  # its import fails
import asyncio
from tidings.cli.main import main
from tidings.process.loop import new_loop
print("on Python's own loop" if new_loop is asyncio.new_event_loop else "on another loop", flush=True)
main()
"""


def test_a_loop_with_an_open_connection_is_closed_and_reports_it() -> None:
    loop = Loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, *listener.getsockname()))

        with pytest.raises(ResourceWarning, match="TCPTransport"):
            loop.close()

    assert loop.is_closed()


def test_the_service_runs_on_uvloop() -> None:
    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert isinstance(tidings.process.loop.run(running()), uvloop.Loop)


async def test_a_server_without_uvloop_delivers_and_stops_in_order(database_url: str, tmp_path: Path) -> None:
    server = Live(database_url, tmp_path, entry=("-c", WITHOUT_UVLOOP))
    async with Receiver(answer()) as receiver:
        with ended(server):
            await asyncio.to_thread(server.start)
            path = await asyncio.to_thread(with_endpoint, server, receiver.url)

            status, _ = await asyncio.to_thread(server.call, "POST", path, {"eventType": "a", "payload": {"n": 7}})

            assert 202 == status
            assert b'{"n": 7}' == (await receiver.next_request()).body
            assert 0 == await asyncio.to_thread(server.stop)
    assert "on Python's own loop" in server.log()
    assert "Traceback" not in server.log()
