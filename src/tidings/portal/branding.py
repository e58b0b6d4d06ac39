# SPDX-License-Identifier: MIT
"""White label: the name and the colors of the portal."""

import re
from dataclasses import dataclass
from typing import Final

COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Branding:
    """What the portal looks like; the defaults are those of tidings."""

    name: str = "tidings"
    color: str | None = None
    """The accent color as `#rrggbb`."""
    color_dark: str | None = None
    """The accent color on dark backgrounds; `color` if absent."""
    logo: str | None = None
    """The path of an image file."""
    favicon: str | None = None
    """The path of an image file."""
    back_url: str | None = None
    """Where the link back leads: the product of which the portal is a part."""
    frame_ancestors: tuple[str, ...] = ()
    """The origins that may embed the portal."""


def theme(branding: Branding) -> str:
    """Return the stylesheet with the colors of the brand; empty without any. Only checked colors get into it."""
    light, dark = branding.color, branding.color_dark or branding.color
    if light is None or dark is None or not COLOR.fullmatch(light) or not COLOR.fullmatch(dark):
        return ""
    return (
        f":root{{--accent:{light};--accent-text:{_on(light)}}}"
        f"@media(prefers-color-scheme:dark){{:root{{--accent:{dark};--accent-text:{_on(dark)}}}}}"
    )


def _on(color: str) -> str:
    """Return black or white, whichever is easier to read on a color (WCAG 2.2, relative luminance)."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (((each + 0.055) / 1.055) ** 2.4 for each in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#fff"
