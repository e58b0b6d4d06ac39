# SPDX-License-Identifier: MIT
"""SIGTERM in the middle of work: an orderly end, and a next start that goes on where it was."""

import asyncio
import time
from pathlib import Path

from faults.kit import ended, node, received, reckon, sending, slowly, started, with_endpoint

STOP_SECONDS = 10.0


async def test_a_server_told_to_stop_ends_in_order_and_the_next_one_goes_on(database_url: str, tmp_path: Path) -> None:
    server = node(database_url, tmp_path, worker_request_timeout=5)  # nothing is sent again for being slow
    async with slowly(0.05) as receiver:
        with ended(server):
            await started(server)
            path = with_endpoint(server, receiver.url)

            async with sending(path, server) as senders:
                await senders.take(150)
                began = time.monotonic()
                assert await asyncio.to_thread(server.stop) == 0
                assert time.monotonic() - began < STOP_SECONDS
                left = senders.ids - set(received(receiver))
                await started(server)
                await senders.take(50)

            await reckon(senders, receiver, server)

    assert left, "everything had been sent before the stop, so it proved nothing"
    assert set(received(receiver).values()) == {1}
