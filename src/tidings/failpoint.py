# SPDX-License-Identifier: MIT
"""Places where a test makes a process die or stand still; no-ops unless armed.

Armed by text, `name=action`, several separated by commas. Actions: `kill` (SIGKILL to ourselves), `kill@N` (at the
Nth passage) and `stop@N` (SIGSTOP). A name may be `*`. Nothing arms a failpoint but the `failpoints` setting.
"""

import os
import signal
from typing import Final

_ACTIONS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_armed: dict[str, tuple[signal.Signals, int]] = {}
_passed: dict[str, int] = {}


def arm(text: str) -> None:
    """Arm the failpoints that a text names. Raises ValueError for an action that does not exist."""
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, action = item.partition("=")
        verb, _, count = action.partition("@")
        if verb not in _ACTIONS:
            raise ValueError(item)
        _armed[name] = (_ACTIONS[verb], int(count or 1))


def point(name: str) -> None:
    """Pass a named place."""
    if _armed:
        _pass(name)


def _pass(name: str) -> None:
    for key in (name, "*"):
        if key in _armed:
            _passed[key] = _passed.get(key, 0) + 1
            action, count = _armed[key]
            if _passed[key] == count:
                os.kill(os.getpid(), action)
