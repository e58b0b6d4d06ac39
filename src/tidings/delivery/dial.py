# SPDX-License-Identifier: MIT
"""From an origin to an open connection: resolve, vet, connect, shake hands. A proxy is another `Dialer`."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, TypeVar

from tidings.delivery.address import Resolver
from tidings.delivery.connection import Connection

SHUTDOWN_SECONDS: Final = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a connection is good for."""

    key: str
    scheme: str
    host: str
    port: int


class TunnelError(ConnectionError):
    """A proxy did not lead to the receiver; the text is for whoever owns the endpoint."""


class ProxyError(TunnelError):
    """The proxy itself is at fault: another address of the receiver would fare no better."""


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
    # Python 3.13 began to demand what RFC 5280 asks of every certificate (an Authority Key Identifier, say). Private
    # authorities of long standing lack such things, and their receivers must not fail the day the server's Python is
    # renewed: chain, dates and name are verified, form is not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def in_turn(addresses: Sequence[str], ends_at: float, connect: Callable[[str], Awaitable[T]]) -> T:
    """Try addresses until one connects; each gets an equal share of the time that is left."""
    *first, last = addresses
    for position, address in enumerate(first):
        share = (ends_at - monotonic()) / (len(addresses) - position)
        try:
            async with asyncio.timeout(share):
                return await connect(address)
        except ProxyError:
            raise
        except OSError:  # a timeout is one
            continue
    return await connect(last)


class DirectDialer:
    """Connects to the receiver itself, at an address that was vetted."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext) -> None:
        self._resolver = resolver
        self._tls = tls

    async def connect(self, origin: Origin, make: Callable[[], Connection], ends_at: float) -> None:
        addresses = await self._resolver.resolve(origin.host)
        await in_turn(addresses, ends_at, lambda address: self._connect_to(address, origin, make()))

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
