# SPDX-License-Identifier: MIT
"""JSON that another release may have stored: read without an assumption about its shape."""

from typing import Any

import msgspec


def json_object(text: str | None) -> dict[str, Any]:
    """Return the object that a text holds; an empty one for anything else."""
    try:
        found = msgspec.json.decode(text or "null")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
