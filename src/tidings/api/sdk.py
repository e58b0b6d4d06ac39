# SPDX-License-Identifier: MIT
"""Official SDKs, recognized by their `user-agent`: a few responses depend on the SDK's version."""

import re
from typing import Final

Version = tuple[int, int]

READS_ROTATED_KEY: Final[Version] = (2, 7)
"""The first version whose SDKs, in every language, read the new key from the response to a secret rotation."""
SPELLS_WITH_UNDERSCORE: Final[Version] = (1, 86)
"""The last version that knows only `endpoint.bulk_replay`; later versions know only `endpoint.bulk-replay`."""

_AGENT: Final = re.compile(r"(?:^|[\s(])svix-libs/(\d{1,9})(?:\.(\d{1,9}))?")


def version_of(agent: str) -> Version | None:
    """Return the major and minor version of the SDK that a `user-agent` names, or None for another client."""
    found = _AGENT.search(agent)
    return None if found is None else (int(found[1]), int(found[2] or 0))


def reads_rotated_key(agent: str) -> bool:
    """Return whether a client expects the new key in the response to a rotation; all others expect no body."""
    version = version_of(agent)
    return version is not None and version >= READS_ROTATED_KEY


def spells_with_underscore(agent: str) -> bool:
    """Return whether a client spells the bulk replay with an underscore."""
    version = version_of(agent)
    return version is not None and version <= SPELLS_WITH_UNDERSCORE


def expects_empty_body(agent: str) -> bool:
    """Return whether a client is an SDK. Some SDKs fail on a success with a body if the contract has a 204."""
    return version_of(agent) is not None
