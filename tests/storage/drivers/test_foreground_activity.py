# SPDX-License-Identifier: MIT
"""Background work gives way to open foreground writes, for a bounded time."""

import asyncio

import pytest

from tidings.storage.drivers.database import ForegroundActivity


async def _is_waiting(pausing: "asyncio.Task[None]") -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return not pausing.done()


async def test_a_pause_ends_at_once_without_a_foreground_write() -> None:
    activity = ForegroundActivity()
    with activity.write(background=True):
        await activity.pause(60)

    assert not activity.is_recent


async def test_a_pause_lasts_until_the_last_of_several_writes_ends() -> None:
    activity = ForegroundActivity()
    with activity.write(background=False):
        with activity.write(background=False):
            pausing = asyncio.create_task(activity.pause(60))
            assert await _is_waiting(pausing)
        assert await _is_waiting(pausing)
    await pausing

    assert activity.is_recent


async def test_a_writer_that_continues_at_once_has_not_stopped() -> None:
    activity = ForegroundActivity()
    with activity.write(background=False):
        pausing = asyncio.create_task(activity.pause(60))
        assert await _is_waiting(pausing)
    with activity.write(background=False):
        assert await _is_waiting(pausing)
    await pausing


async def test_a_pause_is_bounded() -> None:
    activity = ForegroundActivity()
    with activity.write(background=False):
        await activity.pause(0.001)
        await activity.pause(0)


async def test_a_canceled_pause_is_not_woken() -> None:
    activity = ForegroundActivity()
    with activity.write(background=False):
        pausing = asyncio.create_task(activity.pause(60))
        assert await _is_waiting(pausing)
        pausing.cancel()
        await asyncio.wait([pausing])

    assert pausing.cancelled()


async def test_a_write_that_fails_ends() -> None:
    activity = ForegroundActivity()
    with pytest.raises(ValueError, match="failed"), activity.write(background=False):
        raise ValueError("failed")

    await activity.pause(60)
