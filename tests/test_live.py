# SPDX-License-Identifier: MIT
"""The error of the tests' server if it does not start distinguishes an exit from a slow start."""

from pathlib import Path

import pytest

import live


@pytest.mark.parametrize(
    ("program", "seconds", "says"),
    [
        ("raise SystemExit(3)", 60.0, "ended with 3"),
        ("import signal; signal.pause()", 0.0, "did not answer within 0 s"),
    ],
)
def test_an_unresponsive_server_is_reported_with_the_reason(
    tmp_path: Path, program: str, seconds: float, says: str
) -> None:
    with pytest.raises(live.LiveError, match=says):
        live.Live("sqlite:///t.db", tmp_path, entry=("-c", program), start_seconds=seconds).start()
