# SPDX-License-Identifier: MIT
"""What the API of one process is wired to."""

from dataclasses import dataclass

from tidings.api.auth import Gatekeeper
from tidings.api.ratelimit import Limiter
from tidings.core.desk import Acceptor, Desk


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a handler may reach."""

    desk: Desk
    acceptor: Acceptor
    gatekeeper: Gatekeeper
    max_body_bytes: int = 2 * 1024 * 1024
    portal_url: str | None = None
    """Where users find this server, if not where callers of the API do; without a slash at its end."""
    https_only: bool = False
    """Whether endpoint addresses must be https."""
    limiter: Limiter | None = None
    """Who refuses requests that come too often; None is no limit."""
