# SPDX-License-Identifier: MIT
"""The official SDK for Rust does the main job, and calls every operation, against a live server."""

import pytest

from sdk import compiled
from sdk.conftest import Tenant
from sdk.recorder import Recorder
from tidings.demo.processes import ReceiverProcess

pytestmark = pytest.mark.chaos  # the build takes a minute of two cores


async def test_the_rust_sdk_sends_and_verifies_a_message(server: Tenant, receiver: ReceiverProcess) -> None:
    await compiled.check(compiled.program("rust", "cargo", "chaos"), server, receiver)


@compiled.LIMIT
async def test_the_rust_sdk_calls_every_operation(
    server: Tenant, recorder: Recorder, receiver: ReceiverProcess
) -> None:
    built = compiled.program("rust", "cargo", "chaos")

    await compiled.tour("Rust", [built, "tour"], server, recorder, receiver)
