# SPDX-License-Identifier: MIT
"""The connectors that come with the release: for every organization, and upgraded with the service.

Each is a script (`connectors/common.js` and `connectors/NAME.js`, one after the other) and instructions
(`connectors/NAME.md`). Their ids are fixed, and begin before
every id that a service creates, so lists have them at their oldest end.
"""

from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Final

from tidings.clock import parse_rfc3339
from tidings.ids import CONNECTOR, ConnectorId, OrgId
from tidings.model.connector import BUILT_IN, Connector, ConnectorKind, ConnectorProduct

_NO_ORG: Final = OrgId("")
_ID_LENGTH: Final = 27


@dataclass(frozen=True, slots=True)
class _Shipped:
    """A connector of the release. Raise `version` and set `changed` with each change of its script."""

    name: str
    uid: str
    kind: ConnectorKind
    description: str
    version: int
    changed: str

    def loaded(self) -> Connector:
        """Return the connector with its script and its instructions."""
        folder = resources.files("tidings") / "connectors"
        script = "".join((folder / f"{part}.js").read_text("utf-8") for part in ("common", self.uid))
        changed = parse_rfc3339(self.changed)
        return Connector(
            id=ConnectorId(CONNECTOR + "".join(filter(str.isalnum, self.name)).rjust(_ID_LENGTH, "0")),
            org_id=_NO_ORG,
            uid=BUILT_IN + self.uid,
            name=self.name,
            logo=None,
            description=self.description,
            kind=self.kind,
            instructions=(folder / f"{self.uid}.md").read_text("utf-8"),
            allowed_event_types=None,
            feature_flags=None,
            transformation=script,
            version=self.version,
            product_type=ConnectorProduct.DISPATCH,
            created_at=parse_rfc3339(_FIRST),
            updated_at=changed,
            transformation_updated_at=changed,
        )


_FIRST: Final = "2026-11-30T00:00:00Z"
_SHIPPED: Final = (
    _Shipped("Slack", "slack", ConnectorKind.SLACK, "Post each event as a message to a Slack channel.", 1, _FIRST),
    _Shipped(
        "Discord", "discord", ConnectorKind.DISCORD, "Post each event as a message to a Discord channel.", 1, _FIRST
    ),
    _Shipped(
        "Microsoft Teams", "teams", ConnectorKind.TEAMS, "Post each event as a card to a Teams channel.", 1, _FIRST
    ),
    _Shipped(
        "PagerDuty", "pagerduty", ConnectorKind.CUSTOM, "Trigger and resolve PagerDuty alerts with events.", 1, _FIRST
    ),
    _Shipped(
        "JSON", "json", ConnectorKind.CUSTOM, "Post each event with its type and a readable summary as JSON.", 1, _FIRST
    ),
)


@cache
def _by_ref() -> dict[str, Connector]:
    found = sorted((each.loaded() for each in _SHIPPED), key=lambda each: each.id)
    return {ref: connector for connector in found for ref in (connector.id, connector.uid or "")}


def every(org_id: OrgId) -> list[Connector]:
    """Return the built-in connectors as an organization sees them, ordered by id."""
    return [replace(each, org_id=org_id) for ref, each in _by_ref().items() if ref == each.id]


def find(org_id: OrgId, ref: str) -> Connector | None:
    """Return a built-in connector by its id or uid as an organization sees it, or None."""
    if not ref.startswith((CONNECTOR, BUILT_IN)):
        return None
    found = _by_ref().get(ref)
    return None if found is None else replace(found, org_id=org_id)
