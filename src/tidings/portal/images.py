# SPDX-License-Identifier: MIT
"""The images of a brand: read once from files, checked by their content, served under names that contain their hash."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidings.portal.response import Raw

PATH: Final = "/portal/brand"
BYTES_MAX: Final = 256 * 1024
_STARTS: Final = (
    (b"\x89PNG\r\n\x1a\n", "png", b"image/png"),
    (b"\xff\xd8\xff", "jpg", b"image/jpeg"),
    (b"GIF87a", "gif", b"image/gif"),
    (b"GIF89a", "gif", b"image/gif"),
    (b"\x00\x00\x01\x00", "ico", b"image/x-icon"),
)
_WEBP: Final = (b"RIFF", b"WEBP")
_SVG_HEAD: Final = 1_024
_HASH_LENGTH: Final = 10
# An SVG may contain scripts. The policy of every page, which the image gets too, permits none.
_HEADERS: Final = ((b"cache-control", b"public, max-age=31536000, immutable"),)


@dataclass(frozen=True, slots=True)
class BrandImage:
    """An image and its type."""

    name: str
    """The name in its address, with the hash of the content."""
    body: bytes
    content_type: bytes

    @property
    def answer(self) -> Raw:
        """The image as an answer."""
        return Raw(self.body, ((b"content-type", self.content_type), *_HEADERS))


def read(path: Path) -> BrandImage:
    """Read an image. Raises `ValueError`, with a phrase about the file, if it is not one, and `OSError`."""
    with path.open("rb") as file:
        body = file.read(BYTES_MAX + 1)
    if len(body) > BYTES_MAX:
        raise ValueError(f"is larger than {BYTES_MAX // 1024} KiB")
    found = _type_of(body)
    if found is None:
        raise ValueError("is no image of a known type: PNG, JPEG, GIF, WebP, SVG or ICO")
    ending, content_type = found
    return BrandImage(f"{hashlib.sha256(body).hexdigest()[:_HASH_LENGTH]}.{ending}", body, content_type)


def _type_of(body: bytes) -> tuple[str, bytes] | None:
    """Return the ending and the type of an image by its content, or None."""
    for start, ending, content_type in _STARTS:
        if body.startswith(start):
            return ending, content_type
    if (body[:4], body[8:12]) == _WEBP:
        return "webp", b"image/webp"
    head = body[:_SVG_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in head:
        return "svg", b"image/svg+xml"
    return None
