# SPDX-License-Identifier: MIT
"""nginx with the configuration in deploy/nginx, in front of a running service."""

import contextlib
import http.client
import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import live
from deploy import tools

CONFIGURATION = (tools.DEPLOY / "nginx/tidings.conf").read_text()
FRAME = """
{user}  # the folders of a test are its user's alone
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/tidings.conf;
}}
"""
CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]


class Proxy:
    """A client of the service through nginx, on one kept connection."""

    def __init__(self, port: int, server: live.Live) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.port = port
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
        self._headers = {"authorization": f"Bearer {server.token}", "content-type": "application/json"}

    def request(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        self.connection.request(method, path, body, self._headers | {"host": f"hooks.example.com:{self.port}"})
        return self.connection.getresponse()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        response = self.request(method, path, None if body is None else json.dumps(body).encode())
        text = response.read()
        return response.status, json.loads(text) if text else None


@contextlib.contextmanager
def proxied(server: live.Live, folder: Path) -> Iterator[Proxy]:
    """Run nginx with the configuration of the checkout, on other ports and with a certificate of its own."""
    nginx = tools.program("nginx", "apt-get install nginx")
    tools.program("openssl", "apt-get install openssl")
    port = live.free_port()
    words = {"127.0.0.1:8071": f"127.0.0.1:{server.port}", "listen 443": f"listen 127.0.0.1:{port}"}
    text = CONFIGURATION.replace("/etc/tidings", str(folder))
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "tidings.conf").write_text(text)
    (folder / "nginx.conf").write_text(FRAME.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    keys = ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run([*CERTIFICATE, *keys], check=True, capture_output=True)
    command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    if "Permission denied" in checked.stderr:
        pytest.skip(f"nginx cannot run as this user: {checked.stderr}")
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    proxy = Proxy(port, server)
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError):
                proxy.connection.connect()
                break
        yield proxy
    finally:
        proxy.connection.close()
        process.terminate()
        process.wait()


def test_callers_are_served_through_nginx(tmp_path: Path) -> None:
    """Messages, links, a body at the limit and beyond it, and a stream whose events arrive before it ends."""
    folder = tmp_path / "nginx"
    folder.mkdir(mode=0o755)
    with live.serving(f"sqlite:///{tmp_path}/t.db", tmp_path, "--no-tasks") as server, proxied(server, folder) as proxy:
        app = proxy.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
        at = f"/api/v1/app/{app}/msg"
        accepted, _ = proxy.call("POST", at, {"eventType": "a", "payload": {}})
        socket = proxy.connection.sock
        large = {"eventType": "a", "payload": {"text": "x" * 1_000_000}}
        stored, _ = proxy.call("POST", at, large)
        assert socket is proxy.connection.sock, "the connection was not kept"
        _, access = proxy.call("POST", f"/api/v1/auth/app-portal-access/{app}", {})
        task = proxy.call(
            "POST", "/api/v1/stats/usage/app", {"since": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"}
        )[1]
        stream = proxy.request("GET", f"/api/v1/background-task/{task['id']}/events")
        first = stream.readline()
        stream.close()
        proxy.connection.close()
        refused, _ = _too_large(proxy, at)

    assert (202, 202, 200, 413) == (accepted, stored, stream.status, refused)
    assert access["url"].startswith(f"https://hooks.example.com:{proxy.port}/")
    assert first.startswith(b"retry:")  # of a task that stays queued, so the stream stays open
    assert "text/event-stream" in str(stream.headers["content-type"])


def _too_large(proxy: Proxy, path: str) -> tuple[int, bytes]:
    response = proxy.request("POST", path, b"x" * (2 * 1024 * 1024 + 1))
    return response.status, response.read()
