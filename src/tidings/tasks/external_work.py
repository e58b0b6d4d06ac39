# SPDX-License-Identifier: MIT
"""Work outside of the database, for as long as the claim of its task is held."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

LOOK_SECONDS: Final = 0.25


async def run_while_claimed(work: Coroutine[Any, Any, Result], hold: Callable[[], Awaitable[bool]]) -> Result | None:
    """Return the result of the work, or None where `hold`, called repeatedly, returns False.

    When this returns or raises, the work has ended: it is canceled, and waited for.
    """
    working = asyncio.create_task(work)
    try:
        while not working.done():
            await asyncio.wait([working], timeout=LOOK_SECONDS)
            if not working.done() and not await hold():
                return None
        return working.result()
    finally:
        if not working.done():
            working.cancel()
            await asyncio.wait([working])
