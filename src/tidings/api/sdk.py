# SPDX-License-Identifier: MIT
"""Official SDKs, recognized by their `user-agent`: a few answers depend on what a generation of them can read."""

import re
from typing import Final

Version = tuple[int, int]

READS_ROTATED_KEY: Final[Version] = (2, 7)
"""From this version on, in every language, an SDK reads the new key from the answer to a secret rotation."""
SPELLS_WITH_UNDERSCORE: Final[Version] = (1, 86)
"""Up to this version an SDK knows `endpoint.bulk_replay` alone; later ones know `endpoint.bulk-replay` alone."""

_AGENT: Final = re.compile(r"(?:^|[\s(])svix-libs/(\d{1,9})(?:\.(\d{1,9}))?")


def version_of(agent: str) -> Version | None:
    """Return the major and minor version of the SDK that a `user-agent` names, None for any other client."""
    found = _AGENT.search(agent)
    return None if found is None else (int(found[1]), int(found[2] or 0))


def reads_rotated_key(agent: str) -> bool:
    """Return whether a client wants the new key in the answer to a rotation; every other client wants no body."""
    version = version_of(agent)
    return version is not None and version >= READS_ROTATED_KEY


def spells_with_underscore(agent: str) -> bool:
    """Return whether a client spells the bulk replay with an underscore."""
    version = version_of(agent)
    return version is not None and version <= SPELLS_WITH_UNDERSCORE


def expects_empty_body(agent: str) -> bool:
    """Return whether a client is an SDK: where the contract has a 204, some of them fail on any other success."""
    return version_of(agent) is not None
