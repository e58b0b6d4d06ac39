# SPDX-License-Identifier: MIT
"""The table of all routes."""

from typing import Final

from tidings.api import (
    api_keys,
    apps,
    attempted,
    attempts,
    authentication,
    batches,
    connectors,
    deliveries,
    endpoint_connectors,
    endpoint_headers,
    endpoint_health,
    endpoint_secrets,
    endpoint_stats,
    endpoints,
    environments,
    event_type_imports,
    event_types,
    examples,
    exports,
    filter_previews,
    health,
    integrations,
    message_content,
    messages,
    operational_endpoints,
    status,
    transformations,
    undelivered,
)
from tidings.api.routes import AnyRoute
from tidings.tasks.registry import PUBLIC
from tidings.tasks.routes import control, listing

TABLE: Final[tuple[AnyRoute, ...]] = (
    *apps.ROUTES,
    *endpoints.ROUTES,
    *endpoint_secrets.ROUTES,
    *endpoint_headers.ROUTES,
    *endpoint_stats.ROUTES,
    *endpoint_health.ROUTES,
    *transformations.ROUTES,
    *event_types.ROUTES,
    *connectors.ROUTES,
    *endpoint_connectors.ROUTES,
    *environments.ROUTES,
    *event_type_imports.ROUTES,
    *examples.ROUTES,
    *exports.ROUTES,
    *batches.ROUTES,  # these two precede the paths that end in a message id
    *(kind.route for kind in PUBLIC if kind.route is not None),
    *messages.ROUTES,
    *message_content.ROUTES,
    *filter_previews.ROUTES,
    *attempts.ROUTES,
    *attempted.ROUTES,
    *deliveries.ROUTES,
    *undelivered.ROUTES,
    *listing.ROUTES,
    *control.ROUTES,
    *authentication.ROUTES,
    *api_keys.ROUTES,
    *integrations.ROUTES,
    *operational_endpoints.ROUTES,
    *health.ROUTES,
    *status.ROUTES,
)
