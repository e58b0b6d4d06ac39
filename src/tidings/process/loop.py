# SPDX-License-Identifier: MIT
"""The event loop of the service: uvloop, or Python's own where uvloop is not installed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

try:
    import uvloop
except ModuleNotFoundError:
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_loop = uvloop.new_event_loop

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end on a new event loop, and return its result."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(work)
