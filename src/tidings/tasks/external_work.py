# SPDX-License-Identifier: MIT
"""Work outside the database that ends when its task loses the claim."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def run_while_claimed(
    work: Coroutine[Any, Any, Result], hold: Callable[[], Awaitable[bool]], *, look_seconds: float
) -> Result | None:
    """Return the result of the work, or None once `hold`, which is called at intervals, returns False.

    When this function returns or raises, the work has ended: unfinished work is canceled and awaited.
    """
    working = asyncio.create_task(work)
    try:
        while not working.done():
            await asyncio.wait([working], timeout=look_seconds)
            if not working.done() and not await hold():
                return None
        return working.result()
    finally:
        if not working.done():
            working.cancel()
            await asyncio.wait([working])
