# SPDX-License-Identifier: MIT
"""The official SDK for Go does the main job against a live server."""

from sdk import compiled
from sdk.conftest import Tenant
from tidings.demo.processes import ReceiverProcess


async def test_the_go_sdk_sends_and_verifies_a_message(server: Tenant, receiver: ReceiverProcess) -> None:
    found = await compiled.check(compiled.program("go", "go", "test"), server, receiver)

    assert found["version"].startswith("1.")
    assert [True, "d", True, True, True, "404 not_found"] == found["operational"]
