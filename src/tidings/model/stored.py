# SPDX-License-Identifier: MIT
"""Readers of stored JSON, which another release may have written in another shape."""

from typing import Any

import msgspec


def json_object(text: str | None) -> dict[str, Any]:
    """Return the JSON object in a text, or an empty one if the text is something else."""
    try:
        found = msgspec.json.decode(text or "null")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
