# SPDX-License-Identifier: MIT
"""The table of all routes."""

from typing import Final

from tidings.api import (
    apps,
    attempts,
    batches,
    bulk,
    endpoint_health,
    endpoints,
    event_types,
    health,
    messages,
    resending,
    tasks,
)
from tidings.api.routes import AnyRoute

TABLE: Final[tuple[AnyRoute, ...]] = (
    *apps.ROUTES,
    *endpoints.ROUTES,
    *endpoint_health.ROUTES,
    *event_types.ROUTES,
    *batches.ROUTES,  # before the paths that end in a message's id
    *messages.ROUTES,
    *attempts.ROUTES,
    *resending.ROUTES,
    *bulk.ROUTES,
    *tasks.ROUTES,
    *health.ROUTES,
)
