# SPDX-License-Identifier: MIT
"""Which path of this application a request names, and under which URL its caller reached the application."""

import re
from typing import Any, Final

from tidings.api.http import AsgiScope

MOUNT: Final = "tidings.mount"
"""The scope's key for the path under which another application mounted this one; absent at the root."""

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~-]{1,253})(?::(?P<port>[0-9]{1,5}))?")
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~%-]+){1,32}")
_PREFIX_MAX: Final = 1_024
_PORTS: Final = range(1, 65_536)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def below_mount(scope: AsgiScope) -> AsgiScope:
    """Return the scope with the path below the mount in `path`; the mount itself is kept under `MOUNT`."""
    root: str = scope.get("root_path") or ""
    path: str = scope["path"]
    if not root:
        return scope
    if path == root or path.startswith(root.rstrip("/") + "/"):
        path = path[len(root.rstrip("/")) :] or "/"
    return {**scope, "path": path, "root_path": "", MOUNT: root.rstrip("/")}


def has_encoded_slash(scope: AsgiScope) -> bool:
    """Return whether a segment of the path holds a slash: no id and no route does (RFC 3986, section 2.2).

    Without one it makes no difference whether a path is split first or decoded first.
    """
    raw: bytes = scope.get("raw_path") or b""
    return b"%" in raw and b"%2f" in raw.lower()


def base_url(scope: AsgiScope) -> str:
    """Return the URL under which the caller reached this application, without a slash at its end.

    Of each `X-Forwarded-*` header the first element counts; one that cannot be part of a URL is ignored.
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
    """Return the path under which the caller reached this application: the proxy's prefix, then the mount."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    prefix = _first(headers, b"x-forwarded-prefix").strip("/")
    fits = len(prefix) <= _PREFIX_MAX and _PREFIX.fullmatch(f"/{prefix}")
    return (f"/{prefix}" if fits else "") + str(scope.get(MOUNT, ""))


def _first(headers: list[tuple[bytes, bytes]], name: bytes) -> str:
    value: Any = next((value for each, value in headers if each == name), b"")
    return str(value.partition(b",")[0].strip().decode("latin-1"))


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) in _PORTS else None  # noqa: PLR2004
