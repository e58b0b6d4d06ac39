# SPDX-License-Identifier: MIT
"""What a page's handler returns: HTML, a redirect, a file or a stream."""

from dataclasses import dataclass
from typing import Final

from tidings.asgi.stream import Stream

HTML: Final = (b"content-type", b"text/html; charset=utf-8")
NO_STORE: Final = (b"cache-control", b"no-store")


@dataclass(frozen=True, slots=True)
class Html:
    """A page or a part of one."""

    text: str
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another page to open with GET: after a form, so that reloading does not send the form again."""

    location: str
    """The path with the prefix of a proxy, as `PageRequest.url` returns it."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 303
    """303 opens the page with GET; 307 sends the form there again."""


@dataclass(frozen=True, slots=True)
class Download:
    """Bytes to save as a file, never shown as a page."""

    body: bytes
    name: str
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Raw:
    """A body with its own type and caching, such as a stylesheet."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    status: int = 200


Answer = Html | Redirect | Download | Raw | Stream
