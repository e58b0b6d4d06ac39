# SPDX-License-Identifier: MIT
"""What a piece of work leaves to the garbage collector."""

import asyncio
import gc
from collections.abc import Awaitable
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")


async def garbage_of(work: Awaitable[Result]) -> tuple[set[str], Result]:
    """Do some work; return the names of the types and functions of this package in the cycles that it leaves.

    The second part of what is returned is the result of the work.
    """
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        result = await work
        await asyncio.sleep(0)
        del work
        gc.collect()
        return {name for each in gc.garbage if (name := _name(each)).startswith("tidings.")}, result
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        if was_enabled:
            gc.enable()


def _name(found: object) -> str:
    if isinstance(found, FrameType):
        return f"{found.f_globals['__name__']}.{found.f_code.co_name}"
    return f"{type(found).__module__}.{type(found).__name__}"
