# SPDX-License-Identifier: MIT
"""The stylesheet and the scripts: served under names that contain their hash, so browsers keep them for good."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from tidings.portal.response import Raw

PATH: Final = "/portal/assets"
_TYPES: Final = {"css": b"text/css; charset=utf-8", "js": b"text/javascript; charset=utf-8", "svg": b"image/svg+xml"}
_HASH_LENGTH: Final = 10
_FOREVER: Final = b"public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    name: str
    """The name with the hash."""
    body: bytes
    compressed: bytes
    content_type: bytes


@cache
def _assets() -> dict[str, _Asset]:
    """Return the files by their plain names."""
    found = {}
    for each in resources.files("tidings.portal").joinpath("assets").iterdir():
        stem, _, ending = each.name.rpartition(".")
        if ending in _TYPES:
            body = each.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:_HASH_LENGTH]
            found[each.name] = _Asset(f"{stem}.{digest}.{ending}", body, gzip.compress(body, 9), _TYPES[ending])
    return found


@cache
def _by_hashed_name() -> dict[str, _Asset]:
    return {each.name: each for each in _assets().values()}


def url(base: str, name: str) -> str:
    """Return the path of a file; `base` is the path of this server."""
    return f"{base}{PATH}/{_assets()[name].name}"


def serve(name: str, accepted: bytes) -> Raw | None:
    """Return a file by its name with the hash, compressed if the browser accepts gzip; None if there is none."""
    asset = _by_hashed_name().get(name)
    if asset is None:
        return None
    headers = [(b"content-type", asset.content_type), (b"cache-control", _FOREVER), (b"vary", b"accept-encoding")]
    if b"gzip" in accepted:
        return Raw(asset.compressed, (*headers, (b"content-encoding", b"gzip")))
    return Raw(asset.body, tuple(headers))
