# SPDX-License-Identifier: MIT
"""The event loop of all async tests: the service's own, which reports resources that a test has left open."""

import warnings

import uvloop


class Loop(uvloop.Loop):
    """A loop that can be closed even if handles are still open on it.

    On close, uvloop warns of each open handle. If warnings are errors, as in tests, it then leaves that handle open and
    waits for it forever, and no timeout can interrupt it. This loop therefore collects the warnings and raises them
    after the close.
    """

    def close(self) -> None:
        """Close the loop. Raises ResourceWarning, where that is an error, if a handle was left open."""
        with warnings.catch_warnings(record=True) as left_open:
            warnings.simplefilter("always")
            super().close()
        for each in left_open:
            warnings.warn(each.message, stacklevel=2)
