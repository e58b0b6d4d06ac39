# SPDX-License-Identifier: MIT
"""White label: the name, the colors and the images of the portal, by the settings and by a portal link.

A link may carry `name`, `color`, `color_dark` and `back` beside its key. Each value is checked; the valid ones are kept
in a cookie of that portal, and are checked again when the cookie is read.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from tidings.portal.images import BrandImage

COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_BACK: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[\x21-\x7e]*)?")
_BACK_MAX: Final = 512
_LOOK_MAX: Final = 2_048
_OWN_NAME: Final = "tidings"


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and not text.isspace()


def _is_color(text: str) -> bool:
    return COLOR.fullmatch(text) is not None


def _is_back(text: str) -> bool:
    return len(text) <= _BACK_MAX and _BACK.fullmatch(text) is not None


_LINK_VALUES: Final[dict[str, tuple[str, Callable[[str], bool]]]] = {
    "name": ("name", _is_name),
    "color": ("color", _is_color),
    "color_dark": ("color_dark", _is_color),
    "back": ("back_url", _is_back),
}
"""The values of a link: the field of `Branding` that each one replaces, and its check."""
LINK_VALUES: Final = tuple(_LINK_VALUES)


@dataclass(frozen=True, slots=True)
class Branding:
    """What the portal looks like; the defaults are those of tidings."""

    name: str = _OWN_NAME
    color: str | None = None
    """The accent color as `#rrggbb`."""
    color_dark: str | None = None
    """The accent color on dark backgrounds; `color` if absent."""
    logo: BrandImage | None = None
    favicon: BrandImage | None = None
    back_url: str | None = None
    """Where the link back leads: the product of which the portal is a part."""
    frame_ancestors: tuple[str, ...] = ()
    """The origins that may embed the portal."""

    @property
    def is_named(self) -> bool:
        """Whether the brand has a name of its own."""
        return self.name != _OWN_NAME

    @property
    def theme_query(self) -> str:
        """The query of the stylesheet with the colors; empty without any."""
        found = {"color": self.color, "dark": self.color_dark}
        return urlencode({name: color for name, color in found.items() if color is not None})

    def image(self, name: str) -> BrandImage | None:
        """Return the image of this name, or None."""
        return next((each for each in (self.logo, self.favicon) if each is not None and each.name == name), None)

    def with_look(self, text: str | None) -> "Branding":
        """Return the brand with the values of a portal link, as its cookie has them."""
        if not text or len(text) > _LOOK_MAX:
            return self
        found: dict[str, Any] = {_LINK_VALUES[name][0]: value for name, value in _valid(dict(parse_qsl(text))).items()}
        if "color" in found:
            found.setdefault("color_dark", None)  # that of the settings belongs to another color
        return replace(self, **found)


def look_of(values: Mapping[str, str]) -> str:
    """Return the valid values of a portal link as the value of a cookie; empty without any."""
    return urlencode(_valid(values))


def _valid(values: Mapping[str, str]) -> dict[str, str]:
    return {name: values[name] for name, (_, is_valid) in _LINK_VALUES.items() if is_valid(values.get(name, ""))}


def theme(color: str, color_dark: str) -> str:
    """Return the stylesheet with these colors; empty without any. Only checked colors get into it."""
    light, dark = color, color_dark or color
    if not _is_color(light) or not _is_color(dark):
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
