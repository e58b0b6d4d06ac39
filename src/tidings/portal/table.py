# SPDX-License-Identifier: MIT
"""The table of all pages."""

from typing import Final

from tidings.portal import console_home, overview
from tidings.portal.view import View

VIEWS: Final[tuple[View, ...]] = (
    *overview.VIEWS,
    *console_home.VIEWS,
)
