# SPDX-License-Identifier: MIT
"""Failpoints: places at which a test kills or stops a process. They do nothing unless they are armed.

Only the `failpoints` setting arms them: `name=action` pairs, separated by commas. The action `kill` sends SIGKILL to
this process, `kill@N` sends it at the Nth pass, and `stop@N` sends SIGSTOP. The name `*` matches every failpoint.
"""

import os
import signal
from typing import Final

_ACTIONS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_armed: dict[str, tuple[signal.Signals, int]] = {}
_passed: dict[str, int] = {}


def arm(text: str) -> None:
    """Arm the failpoints that a text lists. Raises `ValueError` for an unknown action."""
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, action = item.partition("=")
        verb, _, count = action.partition("@")
        if verb not in _ACTIONS:
            raise ValueError(item)
        _armed[name] = (_ACTIONS[verb], int(count or 1))


def point(name: str) -> None:
    """Pass a failpoint, and perform its action if it is armed and due."""
    if _armed:
        _pass(name)


def _pass(name: str) -> None:
    for key in (name, "*"):
        if key in _armed:
            _passed[key] = _passed.get(key, 0) + 1
            action, count = _armed[key]
            if _passed[key] == count:
                os.kill(os.getpid(), action)
