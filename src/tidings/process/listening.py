# SPDX-License-Identifier: MIT
"""The listening sockets of the API: one for a single process, one per worker for several."""

import socket
import sys
from typing import Final

from tidings.settings import ConfigError, Settings


def bind(settings: Settings) -> socket.socket:
    """Return a socket that is bound to the port. Called first, so that a port in use is reported at startup."""
    return _bound(_address(settings.listen, settings.listen_address), settings.listen_address)


def bind_shared(settings: Settings, count: int) -> list[socket.socket]:
    """Return a bound socket for each of `count` workers, all on the same port.

    On Linux the kernel spreads new connections evenly over the listening sockets with SO_REUSEPORT. A worker listens on
    its socket once it is ready, so none gets connections before. The caller keeps the sockets open while workers come
    and go: connections that wait on the socket of a worker that has ended are accepted by the next one. Elsewhere
    SO_REUSEPORT does not spread, so the workers share one socket.
    """
    text = settings.listen_address
    address = _address(settings.listen, text)
    # A socket without SO_REUSEPORT conflicts with any other on the port, also with those of another tidings.
    with _bound(address, text) as probe:
        name = probe.getsockname()
        if not sys.platform.startswith("linux"):
            return [probe.dup()] * count
    return [_bound((address[0], address[1], name), text, reuse_port=True) for _ in range(count)]


def bind_metrics(settings: Settings) -> socket.socket | None:
    """Return a socket that is bound to the address of the metrics, or None if they are off."""
    given = settings.metrics_listen
    if given is None or settings.metrics_address is None:
        return None
    return _bound(
        _address(given, settings.metrics_address),
        settings.metrics_address,
        "set TIDINGS_METRICS_ADDRESS to another one",
    )


_Address = tuple[socket.AddressFamily, socket.SocketKind, tuple[object, ...]]
_ANOTHER: Final = "pass --listen or set TIDINGS_LISTEN_ADDRESS"


def _address(given: tuple[str, int], text: str) -> _Address:
    host, port = given
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot listen on {text}: {_reason(error)}") from error
    return family, kind, address


def _bound(address: _Address, text: str, remedy: str = _ANOTHER, *, reuse_port: bool = False) -> socket.socket:
    family, kind, name = address
    try:
        listener = socket.socket(family, kind)
    except OSError as error:
        raise ConfigError(f"cannot listen on {text}: {_reason(error)}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(name)
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {text}: {_reason(error)}; {remedy}") from error
    return listener


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the name does not resolve"
    return error.strerror or str(error)
