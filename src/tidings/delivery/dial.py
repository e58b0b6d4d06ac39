# SPDX-License-Identifier: MIT
"""From an origin to an open connection: resolve, vet, connect, shake hands. A proxy is another `Dialer`."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

from tidings.delivery.address import Resolver
from tidings.delivery.connection import Connection

SHUTDOWN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """What a connection is good for."""

    key: str
    scheme: str
    host: str
    port: int


class Dialer(Protocol):
    """How connections come about."""

    async def connect(self, origin: Origin, make: Callable[[], Connection], ends_at: float) -> None:
        """Connect one of those that `make` makes, by a moment on the monotonic clock; it knows what to do then.

        Raises AddressError or OSError.
        """
        ...

    async def close(self) -> None:
        """Give up what is under way."""
        ...


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """Return the usual client context, or one that accepts any certificate."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class DirectDialer:
    """Connects to the receiver itself, at an address that was vetted."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext) -> None:
        self._resolver = resolver
        self._tls = tls

    async def connect(self, origin: Origin, make: Callable[[], Connection], ends_at: float) -> None:
        """Try the addresses in turn; each gets an equal share of the time that is left."""
        addresses = self._resolver.known(origin.host) or await self._resolver.resolve(origin.host)
        *first, last = addresses
        for position, address in enumerate(first):
            share = (ends_at - monotonic()) / (len(addresses) - position)
            try:
                async with asyncio.timeout(share):
                    await self._connect_to(address, origin, make())
                    return
            except OSError:  # a timeout is one
                continue
        await self._connect_to(last, origin, make())

    async def close(self) -> None:
        await self._resolver.close()

    async def _connect_to(self, address: str, origin: Origin, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        try:
            if origin.scheme == "https":
                await loop.create_connection(
                    lambda: connection,
                    address,
                    origin.port,
                    ssl=self._tls,
                    server_hostname=origin.host.removesuffix("."),
                    ssl_shutdown_timeout=SHUTDOWN_SECONDS,
                )
            else:
                await loop.create_connection(lambda: connection, address, origin.port)
        except BaseException:
            connection.abort()  # it may be connected all the same, if we are cancelled in the last moment
            raise
