# SPDX-License-Identifier: MIT
"""Pages that tell a person what is here."""

from collections.abc import Iterable
from html import escape
from typing import Final

from tidings.api.routes import PREFIX, AnyRoute

_STYLE: Final = (
    '<meta name="viewport" content="width=device-width"><style>body{font:16px/1.5 system-ui;margin:2rem auto;'
    "max-width:60rem;padding:0 1rem}td{padding:.2rem 1rem .2rem 0;vertical-align:top}</style>"
)

PORTAL: Final = (
    f'<!doctype html><html lang="en"><meta charset="utf-8"><title>tidings</title>{_STYLE}'
    "<h1>Webhooks</h1><p>The portal of this server is not here yet. The access that you were given is valid:"
    " programs can use its token with the API, as whoever gave it to you will know.</p></html>"
).encode()
"""Stands where the portal will be; it takes the token in its address, and sends it nowhere."""


def page(table: Iterable[AnyRoute]) -> bytes:
    """Return the page: every operation, and where the machine-readable document is."""
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
