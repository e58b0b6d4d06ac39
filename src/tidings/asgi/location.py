# SPDX-License-Identifier: MIT
"""The location of this application: the path of a request below its mount, and the URL that the caller used."""

import re
from typing import Any, Final

from tidings.asgi.http import AsgiScope

MOUNT: Final = "tidings.mount"
"""The scope's key for the path at which another application mounted this one; absent at the root."""

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~-]{1,253})(?::(?P<port>[0-9]{1,5}))?")
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~%-]+){1,32}")
_PREFIX_MAX: Final = 1_024
_PORTS: Final = range(1, 65_536)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def below_mount(scope: AsgiScope) -> AsgiScope:
    """Return the scope with the path below the mount in `path`, and the mount under `MOUNT`."""
    root: str = scope.get("root_path") or ""
    path: str = scope["path"]
    if not root:
        return scope
    if path == root or path.startswith(root.rstrip("/") + "/"):
        path = path[len(root.rstrip("/")) :] or "/"
    return {**scope, "path": path, "root_path": "", MOUNT: root.rstrip("/")}


def has_encoded_slash(scope: AsgiScope) -> bool:
    """Return whether a path segment contains an encoded slash, which no id and no route does (RFC 3986, section 2.2).

    Without one, the result is the same whether a path is first split or first decoded.
    """
    raw: bytes = scope.get("raw_path") or b""
    return b"%" in raw and b"%2f" in raw.lower()


def base_url(scope: AsgiScope) -> str:
    """Return the URL at which the caller reached this application, without a trailing slash.

    Only the first element of each `X-Forwarded-*` header counts. An element that is not valid in a URL is ignored.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    scheme = _first(headers, b"x-forwarded-proto").lower()
    if scheme not in _DEFAULT_PORTS:
        scheme = str(scope.get("scheme", "http"))
    found = _HOST.fullmatch(_first(headers, b"x-forwarded-host")) or _HOST.fullmatch(_first(headers, b"host"))
    name, port = (found["name"], found["port"]) if found else ("localhost", None)
    port = _port(_first(headers, b"x-forwarded-port")) or _port(port or "")
    if port == _DEFAULT_PORTS.get(scheme):
        port = None
    return f"{scheme}://{name}{'' if port is None else f':{port}'}{base_path(scope)}"


def base_path(scope: AsgiScope) -> str:
    """Return the path at which the caller reached this application: the proxy's prefix, then the mount."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    prefix = _first(headers, b"x-forwarded-prefix").strip("/")
    fits = len(prefix) <= _PREFIX_MAX and _PREFIX.fullmatch(f"/{prefix}")
    return (f"/{prefix}" if fits else "") + str(scope.get(MOUNT, ""))


def _first(headers: list[tuple[bytes, bytes]], name: bytes) -> str:
    value: Any = next((value for each, value in headers if each == name), b"")
    return str(value.partition(b",")[0].strip().decode("latin-1"))


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) in _PORTS else None  # noqa: PLR2004
