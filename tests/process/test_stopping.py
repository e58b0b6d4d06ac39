# SPDX-License-Identifier: MIT
"""A hanging thread does not keep a stopped process alive."""

import subprocess
import sys

HANGING = """
import threading
from tidings.process.stopping import leave_within
threading.Thread(target=threading.Event().wait).start()
{leave}
"""


def _ended(leave: str, seconds: float) -> int | None:
    process = subprocess.Popen([sys.executable, "-c", HANGING.format(leave=leave)])
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        process.kill()
        process.wait()


def test_a_hanging_thread_does_not_keep_the_process_alive() -> None:
    assert _ended("leave_within(0.1)", 20) == 0


def test_a_hanging_thread_keeps_a_process_without_the_guard_alive() -> None:
    assert _ended("", 2) is None


def test_a_process_that_did_not_stop_in_time_logs_it() -> None:
    assert _ended("leave_within(0.1, code=1)", 20) == 1
