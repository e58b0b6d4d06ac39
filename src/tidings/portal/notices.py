# SPDX-License-Identifier: MIT
"""The sentences that a page shows after a form, by the name in its address."""

from typing import Final

_SENTENCES: Final = {
    "signed_out": "You are signed out.",
    "saved": "The changes are saved.",
    "created": "Created.",
    "deleted": "Deleted.",
}


def sentence(name: str) -> str:
    """Return the sentence of a name in an address; empty for an unknown one, so that no link can show its own text."""
    return _SENTENCES.get(name, "")
