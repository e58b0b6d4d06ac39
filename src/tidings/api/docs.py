# SPDX-License-Identifier: MIT
"""The HTML page with the list of operations."""

from collections.abc import Iterable
from html import escape
from typing import Final

from tidings.api.routes import PREFIX, AnyRoute

_STYLE: Final = (
    '<meta name="viewport" content="width=device-width"><style>body{font:16px/1.5 system-ui;margin:2rem auto;'
    "max-width:60rem;padding:0 1rem}td{padding:.2rem 1rem .2rem 0;vertical-align:top}</style>"
)


def page(table: Iterable[AnyRoute]) -> bytes:
    """Return the page that lists every operation and links to the OpenAPI document."""
    rows = "".join(
        f"<tr><td>{route.method}</td><td><code>{escape(PREFIX + route.path)}</code></td>"
        f"<td>{escape(route.summary)}</td></tr>"
        for route in table
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>tidings API</title>'
        f"{_STYLE}"
        f'<h1>tidings</h1><p>The API, as <a href="{PREFIX[1:]}/openapi.json">an OpenAPI document</a>. Any Svix client'
        f" works with it.</p><table>{rows}</table></html>"
    ).encode()
