# SPDX-License-Identifier: MIT
"""Run two nodes on one PostgreSQL database, kill one with `kill -9`, and lose nothing.

TIDINGS_DB_DSN names the database: an empty one, for example `postgresql://localhost/tidings_example`.
"""

import os
import socket
import subprocess
import sys

import httpx
from svix.api import Svix, SvixOptions
from svix.models import ApplicationIn, EndpointIn, MessageIn

from receiver import Receiver

DSN = os.environ["TIDINGS_DB_DSN"]
MESSAGES = 50


def main() -> None:
    ports = free_ports(2)
    nodes = [start_node(port) for port in ports]
    try:
        with Receiver() as receiver:
            run([f"http://127.0.0.1:{port}" for port in ports], nodes, receiver)
    finally:
        for node in nodes:
            node.kill()
            node.wait()


def run(urls: list[str], nodes: list[subprocess.Popen[bytes]], receiver: Receiver) -> None:
    for url in urls:
        wait_until_healthy(url)
    token = subprocess.check_output([sys.executable, "-m", "tidings", "jwt", "generate"], text=True).split()[-1]
    first, second = (Svix(token, SvixOptions(server_url=url)) for url in urls)

    app = first.application.create(ApplicationIn(name="A customer"))
    endpoint = first.endpoint.create(app.id, EndpointIn(url=receiver.url))
    receiver.secret = first.endpoint.get_secret(app.id, endpoint.id).key
    for number in range(MESSAGES):
        first.message.create(app.id, MessageIn(event_type="invoice.paid", payload={"invoice": number}))
    nodes[0].kill()
    print("killed the first node after", MESSAGES, "messages")

    for number in range(MESSAGES, 2 * MESSAGES):
        second.message.create(app.id, MessageIn(event_type="invoice.paid", payload={"invoice": number}))
    receiver.wait_for(2 * MESSAGES)
    print(len(receiver.messages), "messages delivered")


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def start_node(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tidings", "serve", "--allow-loopback", "--listen", f"127.0.0.1:{port}"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def wait_until_healthy(url: str) -> None:
    """Connect again until the node listens; the pause between tries doubles."""
    with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
        client.get(f"{url}/api/v1/health").raise_for_status()


if __name__ == "__main__":
    main()
