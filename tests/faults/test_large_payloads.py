# SPDX-License-Identifier: MIT
"""Large payloads to receivers that never read them, against a real server process."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from faults.test_readers import BIG, RSS_MAX, rss
from live import serving

RECEIVERS = 10
MESSAGES = 250


def test_payloads_for_receivers_that_never_read_hold_little(tmp_path: Path, database_url: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(database_url, tmp_path))
        app = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
        for _ in range(RECEIVERS):
            deaf = stack.enter_context(socket.socket())  # takes connections, as the kernel does, and reads nothing
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(1_024)
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            assert 201 == server.call("POST", f"/api/v1/app/{app}/endpoint", {"url": url})[0]

        def post(number: int) -> int:
            body = {"eventType": "a", "payload": {"big": BIG, "n": number}}
            return server.call("POST", f"/api/v1/app/{app}/msg", body)[0]

        with ThreadPoolExecutor(4) as senders:
            assert [202] * MESSAGES == list(senders.map(post, range(MESSAGES)))

        assert 204 == server.call("GET", "/api/v1/health/ping")[0]
        assert rss(server) < RSS_MAX
