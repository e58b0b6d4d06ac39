# SPDX-License-Identifier: MIT
"""The official SDK for Rust does the main job against a live server."""

import pytest

from sdk import compiled
from sdk.conftest import Tenant
from tidings.demo.processes import ReceiverProcess


@pytest.mark.chaos  # the build takes a minute of two cores
async def test_the_rust_sdk_sends_and_verifies_a_message(server: Tenant, receiver: ReceiverProcess) -> None:
    await compiled.check(compiled.program("rust", "cargo", "chaos"), server, receiver)
