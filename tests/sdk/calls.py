# SPDX-License-Identifier: MIT
"""What each official SDK calls in these tests, as `calls.toml` states it."""

import docs
from sdk.test_journey import HERE

ROOT = HERE.parent.parent


def check(language: str, called: set[str]) -> None:
    """Compare the operations that an SDK has called with the expected ones."""
    expected = docs.called_by(language)
    uncalled, surprising = sorted(expected - called), sorted(called - expected)

    assert [] == uncalled, "call these in the SDK's program, or state the reason in tests/sdk/calls.toml"
    assert [] == surprising, "tests/sdk/calls.toml does not know of these calls"
