# SPDX-License-Identifier: MIT
"""The lines that workers send to their supervisor, which passes them on without reading them."""

from typing import Protocol


class LineTaker(Protocol):
    """Takes the lines that workers send, and their ends. Lines and ends carry the id of the process."""

    def start(self) -> None:
        """Start, on the event loop of the supervisor."""
        ...

    def take(self, process: int, line: bytes) -> None:
        """Take a line."""
        ...

    def ended(self, process: int) -> None:
        """Note that a process has ended."""
        ...

    async def stop(self) -> None:
        """Stop."""
        ...
