# SPDX-License-Identifier: MIT
"""The official SDK for Go does the main job, and calls every operation, against a live server."""

from sdk import compiled
from sdk.conftest import Tenant
from sdk.recorder import Recorder
from tidings.demo.processes import ReceiverProcess


async def test_the_go_sdk_sends_and_verifies_a_message(server: Tenant, receiver: ReceiverProcess) -> None:
    found = await compiled.check(compiled.program("go", "go", "test"), server, receiver)

    assert found["version"].startswith("1.")


@compiled.LIMIT
async def test_the_go_sdk_calls_every_operation(server: Tenant, recorder: Recorder, receiver: ReceiverProcess) -> None:
    built = compiled.program("go", "go", "test")

    await compiled.tour("Go", [built, "tour"], server, recorder, receiver)
