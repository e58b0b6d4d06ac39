# SPDX-License-Identifier: MIT
"""The releases of the running nodes: what changes the requests to receivers is enabled once every node knows it.

During a rolling upgrade, nodes of two releases share the database. A node of the older release ignores the columns
that it does not know, so it would send what a filter excludes, or send it unchanged.
"""

import re
from typing import Final

from tidings.errors import conflict
from tidings.storage.drivers.database import Read
from tidings.storage.tables import nodes

DISPATCH: Final = "0.2.0"
"""The first release that knows payload filters and transformations."""
_NUMBERS: Final = re.compile(r"(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?")


async def require(read: Read, oldest: str, feature: str) -> None:
    """Raise a conflict that names a node if any node runs a release before `oldest`.

    Call it in the transaction that enables the feature; `feature` begins the sentence, such as "A payload filter".
    A lost node counts until another one takes over its work: until then it may still send. On SQLite, and behind a
    pooler that owns the sessions, no node has a row, so every release is taken for a new one.
    """
    for worker, release in await nodes.releases(read):
        if _numbers(release) < _numbers(oldest):
            raise conflict(
                f"{feature} needs release {oldest} on every node, and the node {worker} runs {release}."
                " Upgrade it, then repeat the request.",
                code="older_release",
            )


def _numbers(release: str) -> tuple[int, ...]:
    """Return the numbers of a release, so that 0.10.0 is later than 0.9.1; a text without numbers is the oldest."""
    found = _NUMBERS.match(release)
    return () if found is None else tuple(int(each or 0) for each in found.groups())
