# SPDX-License-Identifier: MIT
"""What the demo shows, in order."""


def run(messages: int, *, keep: bool) -> int:
    """Show it; return the exit code."""
    del messages, keep
    return 1
