# SPDX-License-Identifier: MIT
"""Open connections to an origin: resolve, check addresses, connect, TLS handshake. A proxy is another `Dialer`."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, TypeAlias, TypeVar

from tidings.delivery.address import OUR_LIMITS, Resolver, is_public, parse_literal
from tidings.delivery.connection import ReceiverConnection, cause_of

SHUTDOWN_SECONDS: Final = 1.0

T = TypeVar("T")
Failures: TypeAlias = list[tuple[str, OSError]]
"""Addresses to which connecting failed, each with its error."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The scheme, host and port of a URL: requests to one origin share connections."""

    key: str
    scheme: str
    host: str
    port: int


class TunnelError(ConnectionError):
    """The proxy did not connect to the receiver; the text is for the owner of the endpoint."""


class ProxyError(TunnelError):
    """The proxy itself failed, so trying another address of the receiver would not help."""


class AddressesError(OSError):
    """Connecting to every address of a host failed; the text has the error of each address."""

    def __init__(self, failures: Failures) -> None:
        super().__init__(explained(failures))
        self.last = failures[-1][1]
        self.errno = next((error.errno for _, error in failures if error.errno in OUR_LIMITS), None)
        self.is_final = all(isinstance(error, ssl.SSLError) for _, error in failures)


def reason_of(error: OSError) -> str:
    """Return why a dial failed, for the owner of the endpoint."""
    return str(error) if isinstance(error, TunnelError | AddressesError) else cause_of(error)


def explained(failures: Failures) -> str:
    """Return each address with its error, or the error alone if all addresses have the same one.

    Private addresses are not named, because that would reveal the internal DNS.
    """
    reasons = [(address, reason_of(error)) for address, error in failures]
    if len(reasons) > 1 and len({reason for _, reason in reasons}) == 1:
        return reasons[0][1]
    return "; ".join(f"{_label(address)}: {reason}" for address, reason in reasons)


def _label(address: str) -> str:
    if parse_literal(address) is None or is_public(address):  # a name for the proxy to resolve is from the owner's URL
        return address
    return f"a private IPv{6 if ':' in address else 4} address"


class Dialer(Protocol):
    """Opens connections."""

    async def connect(
        self, origin: Origin, make: Callable[[], ReceiverConnection], ends_at: float, failures: Failures
    ) -> None:
        """Connect a connection from `make` to the origin; the connection then writes its request.

        `make` is called for each address that is tried. `ends_at` is on the monotonic clock. `failures` collects the
        addresses that have failed so far. Raises AddressError or OSError.
        """
        ...

    async def close(self) -> None:
        """Cancel the lookups in progress."""
        ...


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """Return the default client context, or one that accepts any certificate."""
    context = ssl.create_default_context()
    # Since Python 3.13 the default context enforces all of RFC 5280, for example an Authority Key Identifier.
    # Certificates of older private CAs lack such fields, and an upgrade of Python must not break their receivers.
    # The chain, the dates and the name are still verified.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def release_frames(error: BaseException | None) -> None:
    """Release the frames of an error that was handled, and of the errors before it.

    They refer to the error in turn, so that only the garbage collector could free them, the request and its payload;
    it stops the event loop for 70 ms after 400 refused connections.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


async def in_turn(
    addresses: Sequence[str], ends_at: float, connect: Callable[[str], Awaitable[T]], failures: Failures
) -> T:
    """Try addresses until one connects; each gets an equal share of the remaining time, the last one all of it."""
    failures.clear()
    for position, address in enumerate(addresses):
        left = len(addresses) - position
        share = (ends_at - monotonic()) / left if left > 1 else None
        try:
            async with asyncio.timeout(share):
                return await connect(address)
        except ProxyError:
            raise
        except OSError as error:  # includes TimeoutError
            release_frames(error)
            failures.append((address, error))
    if len(failures) == 1:
        raise failures[0][1]
    raise AddressesError(failures)


class DirectDialer:
    """Connects directly to a checked address of the receiver."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext) -> None:
        self._resolver = resolver
        self._tls = tls

    async def connect(
        self, origin: Origin, make: Callable[[], ReceiverConnection], ends_at: float, failures: Failures
    ) -> None:
        addresses = await self._resolver.resolve(origin.host)
        await in_turn(addresses, ends_at, lambda address: self._connect_to(address, origin, make()), failures)

    async def close(self) -> None:
        await self._resolver.close()

    async def _connect_to(self, address: str, origin: Origin, connection: ReceiverConnection) -> None:
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
            connection.abandon()  # a cancellation can come after the socket has connected
            raise
