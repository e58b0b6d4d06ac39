# SPDX-License-Identifier: MIT
"""From an origin to an open connection: resolve, vet, connect, shake hands. A proxy is another `Dialer`."""

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
"""Addresses that could not be connected to, and why."""


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


class AddressesError(OSError):
    """No address of a host could be connected to; the text has the error of each."""

    def __init__(self, failures: Failures) -> None:
        super().__init__(explained(failures))
        self.last = failures[-1][1]
        self.errno = next((error.errno for _, error in failures if error.errno in OUR_LIMITS), None)
        self.is_final = all(isinstance(error, ssl.SSLError) for _, error in failures)


def reason_of(error: OSError) -> str:
    """Say why a dial failed, for the owner of the endpoint."""
    return str(error) if isinstance(error, TunnelError | AddressesError) else cause_of(error)


def explained(failures: Failures) -> str:
    """Name each address with its error; one error that they all share is named once.

    A private address stays unnamed: which one a name has is a matter of the internal DNS.
    """
    reasons = [(address, reason_of(error)) for address, error in failures]
    if len(reasons) > 1 and len({reason for _, reason in reasons}) == 1:
        return reasons[0][1]
    return "; ".join(f"{_label(address)}: {reason}" for address, reason in reasons)


def _label(address: str) -> str:
    if parse_literal(address) is None or is_public(address):  # a name, which a proxy resolves, is the owner's own
        return address
    return f"a private IPv{6 if ':' in address else 4} address"


class Dialer(Protocol):
    """How connections come about."""

    async def connect(
        self, origin: Origin, make: Callable[[], ReceiverConnection], ends_at: float, failures: Failures
    ) -> None:
        """Connect one of those that `make` makes, by a timestamp on the monotonic clock; it knows what to do then.

        Raises AddressError or OSError. `failures` collects the addresses that failed so far.
        """
        ...

    async def close(self) -> None:
        """Give up the connects in progress."""
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


async def in_turn(
    addresses: Sequence[str], ends_at: float, connect: Callable[[str], Awaitable[T]], failures: Failures
) -> T:
    """Try addresses until one connects; each gets an equal share of the time that is left, the last one all of it."""
    failures.clear()
    for position, address in enumerate(addresses):
        left = len(addresses) - position
        share = (ends_at - monotonic()) / left if left > 1 else None
        try:
            async with asyncio.timeout(share):
                return await connect(address)
        except ProxyError:
            raise
        except OSError as error:  # a timeout is one
            failures.append((address, error))
    if len(failures) == 1:
        raise failures[0][1]
    raise AddressesError(failures)


class DirectDialer:
    """Connects to the receiver itself, at an address that was vetted."""

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
            connection.abandon()  # it may be connected already, if the cancellation came just then
            raise
