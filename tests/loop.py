# SPDX-License-Identifier: MIT
"""The event loop of all async tests: the one that the service runs on, which tells what a test has left open."""

import warnings

import uvloop


class Loop(uvloop.Loop):
    """A loop that can be closed whatever is still open on it.

    Closing, uvloop warns of each handle that nobody has closed. Where warnings are errors, as in tests, it then leaves
    that handle open and waits for it for ever, and no timeout gets at it. So they become errors afterwards.
    """

    def close(self) -> None:
        """Close the loop. Raises ResourceWarning, where that is an error, if something was left open."""
        with warnings.catch_warnings(record=True) as left_open:
            warnings.simplefilter("always")
            super().close()
        for each in left_open:
            warnings.warn(each.message, stacklevel=2)
