# SPDX-License-Identifier: MIT
"""Work outside of the database under a claim: it goes on only while the claim is held."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

LOOK_SECONDS: Final = 0.25


async def while_held(work: Coroutine[Any, Any, Result], hold: Callable[[], Awaitable[bool]]) -> Result | None:
    """Return the result of the work, or None where `hold`, asked again and again, says that it is to stop.

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
