# SPDX-License-Identifier: MIT
"""Callers that request large pages and never read them, against a real server process."""

import json
import socket
from pathlib import Path

from live import Live, serving

READERS = 12
MESSAGES = 60
BIG = "x" * 1_900_000
RSS_MAX = 400 * 1024 * 1024


def rss(server: Live) -> int:
    """Return the peak memory of the process, in bytes."""
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def _asking(server: Live, path: str) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    asking = socket.socket()
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    asking.connect((host, int(port)))
    head = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.token}\r\n\r\n"
    asking.sendall(head.encode())
    return asking


def test_readers_that_never_read_hold_a_bounded_amount_of_memory(tmp_path: Path, database_url: str) -> None:
    with serving(database_url, tmp_path) as server:
        app = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
        path = f"/api/v1/app/{app}/msg"
        for number in range(MESSAGES):
            status, _ = server.call("POST", path, {"eventType": "a", "payload": {"big": BIG, "n": number}})
            assert 202 == status
        asking = [_asking(server, f"{path}?limit=250") for _ in range(READERS)]

        for each in asking:
            each.settimeout(60)
            assert each.recv(15) == b"HTTP/1.1 200 OK"
        status, page = server.call("GET", f"{path}?limit=250")

        assert 200 == status
        assert not page["done"]
        assert len(json.dumps(page)) < 5_000_000
        assert rss(server) < RSS_MAX
        for each in asking:
            each.close()
