# SPDX-License-Identifier: MIT
"""The page of operations tells of each that the contract has for these resources: served, or why not."""

import json
import re
from pathlib import Path

from docs import CHECKOUT
from tidings.api.table import TABLE

TAGS = {"Application", "Endpoint", "Event Type", "Authentication", "Message", "Message Attempt", "Background Task"}
PAGE = (CHECKOUT / "docs" / "compatibility.md").read_text()


def _not_served() -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Not served")[2], re.MULTILINE))


def test_what_is_served_is_not_said_to_be_absent() -> None:
    assert set() == _not_served() & {route.operation for route in TABLE}


def test_every_operation_of_the_contract_is_told_of(shared_dir: Path) -> None:
    contract = json.loads((shared_dir / "contract" / "svix-openapi.json").read_text())
    wanted = {
        operation["operationId"]
        for methods in contract["paths"].values()
        for operation in methods.values()
        if set(operation["tags"]) & TAGS and not operation.get("x-internal")
    }

    assert wanted <= {route.operation for route in TABLE} | _not_served()
