# SPDX-License-Identifier: MIT
"""`tidings healthcheck URL`: a health check for containers and scripts, without settings or a token."""

import sys
from typing import Final

from tidings.cli.remote import Remote, RemoteError, Unreachable

_UNHEALTHY: Final = 1
_CANNOT: Final = 2


def check(url: str) -> int:
    """Return the exit code: 0 if the server is healthy, 1 if it is not, 2 for an invalid URL. Prints the reason."""
    try:
        status = Remote(url).head("/api/v1/health")
    except RemoteError as error:
        sys.stderr.write(f"tidings: {error}\n")
        return _UNHEALTHY if isinstance(error, Unreachable) else _CANNOT
    if 200 <= status < 300:  # noqa: PLR2004 - any success counts
        return 0
    sys.stderr.write(f"tidings: {url} responds with status {status}\n")
    return _UNHEALTHY
