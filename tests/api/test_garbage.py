# SPDX-License-Identifier: MIT
"""Requests leave no reference cycles of this package, whatever their answer is.

The garbage collector stops the event loop until it has freed what waits for it.
"""

import asyncio

from api.sockets import Wire, answer
from garbage import garbage_of


def _requests(wire: Wire) -> dict[bytes, list[int]]:
    """Return requests, each with the statuses of its answers if it is made three times."""
    return {
        wire.request(): [202] * 3,
        wire.request(b"nonsense"): [422] * 3,
        wire.request(b"{}"): [422] * 3,
        wire.request(path=b"/api/v1/app/app_unknown/msg"): [404] * 3,
        wire.request(b'{"eventType":"a","payload":{},"eventId":"e-1"}'): [202, 409, 409],
        b"GET /api/v1/app HTTP/1.1\r\nhost: x\r\n\r\n": [401] * 3,
        b"GET /api/v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n": [404] * 3,
    }


async def test_no_answer_leaves_a_cycle(wire: Wire) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)

    async def exchange(request: bytes) -> list[int]:
        statuses = []
        for _ in range(3):  # the work of the last one may not be over when its answer arrives
            writer.write(request)
            statuses.append((await answer(reader))[0])
        return statuses

    await exchange(wire.request())
    for request, expected in _requests(wire).items():
        left, statuses = await garbage_of(exchange(request))
        assert (left, statuses) == (set(), expected), request
    writer.close()
