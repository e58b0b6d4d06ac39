# SPDX-License-Identifier: MIT
"""Call every method that the official SDK has for connectors and environments.

Either generation of the SDK runs it. As a program it takes `{"url", "token"}` as JSON on its standard input and prints
as JSON what it has called, and this SDK's methods that it has not called.
"""

import json
import sys
from contextlib import closing
from typing import Any

import svix.models as m
from svix.api import Svix, SvixOptions

from sdk.everyday import NEWER, OLDER
from sdk.journey import refusal

SCRIPT = "function handler(webhook) { return webhook; }"
UPSERT: Any = getattr(m, "ConnectorUpsertIn", None) or vars(m)["ConnectorUpdate"]


class Configuring:
    """One run, with the methods that it has called."""

    def __init__(self, given: dict[str, str]) -> None:
        self.client = Svix(given["token"], SvixOptions(server_url=given["url"]))
        self.called: set[str] = set()

    def run(self) -> dict[str, Any]:
        """Call everything."""
        with closing(self.client._httpx_client):  # noqa: SLF001 - the SDK has no way to close it
            self.connectors()
            self.environment()
        every = {
            f"{resource}.{NEWER.get(name, name)}"
            for resource in ("connector", "environment")
            for name in dir(getattr(self.client, resource))
            if not name.startswith("_")
        }
        return {"called": sorted(self.called), "left": sorted(every - self.called)}

    def connectors(self) -> None:
        """Create, read, change and delete a connector, and read a built-in one."""
        wanted = m.ConnectorIn(
            name="Mine",
            uid="mine",
            kind=m.ConnectorKind.ZAPIER,
            transformation=SCRIPT,
            allowed_event_types=["a.b"],
            feature_flags=["beta"],
        )
        made = self.call("connector.create", wanted)
        assert ("mine", m.ConnectorKind.ZAPIER, ["a.b"]) == (made.uid, made.kind, made.allowed_event_types)
        assert [made.id] == [each.id for each in self.call("connector.list").data]
        assert made == self.call("connector.get", "mine")
        assert m.ConnectorKind.SLACK == self.call("connector.get", "tidings.slack").kind
        patched = self.call("connector.patch", "mine", m.ConnectorPatch(description="d", allowed_event_types=None))
        assert ("d", None, SCRIPT) == (patched.description, patched.allowed_event_types, patched.transformation)
        put = self.call("connector.upsert", "mine", UPSERT(name="New", transformation=f"{SCRIPT} // 2"))
        assert (made.id, "New", "") == (put.id, put.name, put.description)
        assert put.transformation_updated_at > made.transformation_updated_at
        self.call("connector.delete", "mine")
        assert "404 not_found" == refusal(lambda: self.call("connector.get", made.id))
        assert "409 connector_built_in" == refusal(lambda: self.call("connector.delete", "tidings.slack"))

    def environment(self) -> None:
        """Import a configuration, export it, and import the export."""
        types = [m.EventTypeIn(name="a.b", description="d", schemas={"1": {"type": "object"}})]
        own = [m.ConnectorIn(name="Mine", uid="mine", transformation=SCRIPT)]
        given = m.EnvironmentIn(event_types=types, connectors=own, settings={"displayName": "Acme"})
        assert self.call("environment.import_", given) is None
        found = self.call("environment.export")
        assert (["a.b"], ["mine"]) == (
            [each.name for each in found.event_types],
            [each.uid for each in found.connectors],
        )
        assert {"displayName": "Acme"} == found.settings
        self.call("environment.import_", m.EnvironmentIn.model_validate_json(found.model_dump_json(by_alias=True)))
        again = self.call("environment.export")
        assert found.event_types == again.event_types
        assert found.connectors == again.connectors

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a method by its name in the newer generation."""
        resource, _, method = name.partition(".")
        owner = getattr(self.client, resource)
        self.called.add(name)
        return getattr(owner, method if hasattr(owner, method) else OLDER[method])(*arguments)


if __name__ == "__main__":
    json.dump(Configuring(json.load(sys.stdin)).run(), sys.stdout)
