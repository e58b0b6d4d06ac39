# SPDX-License-Identifier: MIT
"""The security headers of every page."""

from functools import lru_cache

from tidings.portal.branding import Branding

_NOWHERE = b"'none'"


@lru_cache(maxsize=8)
def headers(branding: Branding, *, is_portal: bool) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers: no script, style, font or picture from elsewhere, none inline, and no frame by default."""
    ancestors = " ".join(branding.frame_ancestors).encode() if is_portal and branding.frame_ancestors else _NOWHERE
    policy = (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        b" form-action 'self'; base-uri 'none'; frame-ancestors " + ancestors
    )
    found = [
        (b"content-security-policy", policy),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
    if ancestors == _NOWHERE:
        found.append((b"x-frame-options", b"DENY"))
    return tuple(found)
