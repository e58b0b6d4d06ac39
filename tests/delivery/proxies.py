# SPDX-License-Identifier: MIT
"""Scripted proxies on loopback that work or fail: HTTP with CONNECT, optionally over TLS, and SOCKS 5.

`asked` holds the targets that clients requested, verbatim, so that a leaked name would show. Steps as in `receiver.py`
run before the proxy responds; `answer` replaces its response.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Mapping
from ipaddress import ip_address

from delivery.receiver import Peer, Receiver, Script, hang


class Proxy(Receiver):
    """The common part of both proxies: they connect as requested, and carry bytes in both directions."""

    def __init__(
        self,
        *,
        user: str | None = None,
        answer: bytes | None = None,
        before: Script = (),
        tls: ssl.SSLContext | None = None,
        hosts: Mapping[str, str] | None = None,
    ) -> None:
        """`hosts` maps the names that the proxy resolves to their addresses."""
        super().__init__([*before, self.carry], tls=tls)
        self._hosts = hosts or {}
        self.asked: list[tuple[str, int]] = []
        self.heads: list[bytes] = []
        self._user = user
        self._answer = answer
        self.scheme = "https" if tls else "http"

    @property
    def address(self) -> str:
        credentials = f"{self._user}@" if self._user else ""
        return f"{self.scheme}://{credentials}127.0.0.1:{self.port}"

    async def carry(self, peer: Peer) -> None:
        """Serve one connection."""
        opened = await self.open(peer)
        if opened is None:
            return
        reader, writer = opened
        try:
            await asyncio.gather(_pump(peer.reader, writer), _pump(reader, peer.writer))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def open(self, peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        raise NotImplementedError


class HttpProxy(Proxy):
    """An HTTP proxy that supports only CONNECT."""

    async def open(self, peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        method, authority, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        host, _, port = authority.rpartition(":")
        self.asked.append((host, int(port)))
        assert method == "CONNECT"
        if self._answer is not None:
            peer.writer.write(self._answer)
            await hang(peer)
            return None
        if self._user and f"Basic {base64.b64encode(self._user.encode()).decode()}\r\n".encode() not in head:
            peer.writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return None
        try:
            opened = await asyncio.open_connection(self._hosts.get(host, host.strip("[]")), int(port))
        except OSError:
            peer.writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return None
        peer.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return opened


class SocksProxy(Proxy):
    """SOCKS 5 with or without user and password; it takes addresses only, unless it has names to resolve."""

    def __init__(
        self,
        *,
        user: str | None = None,
        answer: bytes | None = None,
        before: Script = (),
        hosts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(user=user, answer=answer, before=before, hosts=hosts)
        self.scheme = "socks5"

    async def open(self, peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        version, count = await peer.reader.readexactly(2)
        methods = await peer.reader.readexactly(count)
        assert version == 5
        if self._answer is not None:
            peer.writer.write(self._answer)
            await hang(peer)
            return None
        if not await self._is_welcome(peer, methods):
            return None
        *_, kind = await peer.reader.readexactly(4)
        if kind == 3 and self._hosts:
            host = (await peer.reader.readexactly((await peer.reader.readexactly(1))[0])).decode()
        else:
            assert kind in (1, 4), "a name, which the proxy would have to look up"
            host = str(ip_address(await peer.reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await peer.reader.readexactly(2), "big")
        self.asked.append((host, port))
        try:
            opened = await asyncio.open_connection(self._hosts.get(host, host), port)
        except OSError:
            peer.writer.write(b"\x05\x05\x00\x01" + bytes(6))
            return None
        peer.writer.write(b"\x05\x00\x00\x03\x04name" + bytes(2))
        return opened

    async def _is_welcome(self, peer: Peer, methods: bytes) -> bool:
        wanted = 0 if self._user is None else 2
        if wanted not in methods:
            peer.writer.write(b"\x05\xff")
            return False
        peer.writer.write(bytes([5, wanted]))
        if self._user is None:
            return True
        _, length = await peer.reader.readexactly(2)
        user = (await peer.reader.readexactly(length)).decode()
        password = (await peer.reader.readexactly((await peer.reader.readexactly(1))[0])).decode()
        peer.writer.write(b"\x01\x00" if f"{user}:{password}" == self._user else b"\x01\x01")
        return f"{user}:{password}" == self._user


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()


def closed_port() -> int:
    """Return a port without a listener."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])
