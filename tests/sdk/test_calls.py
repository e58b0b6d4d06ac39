# SPDX-License-Identifier: MIT
"""Every public operation that is served is called with every official SDK, or the exception has a reason.

The tests of the other languages check this for their SDK.
"""

from collections.abc import Callable

import pytest

import docs
from sdk import calls
from sdk.bulk import Bulk
from sdk.configuring import Configuring
from sdk.conftest import Tenant
from sdk.everyday import Everyday
from sdk.journey import Journey
from sdk.messaging import Messaging
from sdk.operational import Operational
from sdk.recorder import Recorder, operation_of
from tidings.demo.processes import ReceiverProcess

# The first one expects a receiver without requests.
PROGRAMS = (Operational, Everyday, Messaging, Bulk, Configuring, Journey)


def test_the_python_sdk_calls_every_operation(
    new_tenant: Callable[[], Tenant], recorder: Recorder, receiver: ReceiverProcess
) -> None:
    for program in PROGRAMS:
        program({"url": recorder.url, "token": new_tenant().token, "receiver": receiver.url}).run()

    calls.check("Python", recorder.operations)


@pytest.mark.parametrize("language", docs.CALLS)
def test_each_exception_is_of_a_served_operation_and_has_a_reason(language: str) -> None:
    stated = docs.CALLS[language]

    assert stated["without"].keys() <= docs.served_publicly()
    assert all(reason.endswith(".") for reason in stated["without"].values())
    assert set(stated["beyond"]) <= {*docs.OWN, *docs.INTERNAL}


@pytest.mark.parametrize("language", docs.CALLS)
def test_the_stated_release_is_the_pinned_one(language: str) -> None:
    stated = docs.CALLS[language]
    lines = (calls.ROOT / stated["pin"]).read_text().splitlines()
    pins = [line for line in lines if stated["release"] in line]

    assert pins
    assert any("svix" in line for line in pins) or "<artifactId>svix</artifactId>" in map(str.strip, lines)


def test_a_request_is_attributed_to_its_operation() -> None:
    expected = {
        "POST /api/v1/event-type/import/openapi?a=b": "v1.event-type.import-openapi",
        "GET /api/v1/event-type/import": "v1.event-type.get",
        "POST /api/v1/app/a%2Fb/msg/precheck/active": "v1.message.precheck",
        "GET /api/v1/app/a/b/c/d/e/f": None,
    }

    assert expected == {line: operation_of(*line.split(" ")) for line in expected}
