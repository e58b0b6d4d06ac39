# SPDX-License-Identifier: MIT
"""The table of all pages."""

from typing import Final

from tidings.portal import (
    attempt_pages,
    connector_pages,
    connector_updates,
    console_applications,
    console_connectors,
    console_event_types,
    console_home,
    console_import,
    console_integrations,
    console_keys,
    console_messages,
    console_notifications,
    console_undelivered,
    endpoint_forms,
    endpoint_pages,
    event_type_pages,
    example_pages,
    header_forms,
    message_pages,
    overview,
    recover_pages,
    task_pages,
    transformation_pages,
)
from tidings.portal.view import View

VIEWS: Final[tuple[View, ...]] = (
    *overview.VIEWS,
    *endpoint_pages.VIEWS,
    *endpoint_forms.VIEWS,
    *connector_pages.VIEWS,
    *connector_updates.VIEWS,
    *header_forms.VIEWS,
    *transformation_pages.VIEWS,
    *event_type_pages.VIEWS,
    *example_pages.VIEWS,
    *message_pages.VIEWS,
    *attempt_pages.VIEWS,
    *console_home.VIEWS,
    *recover_pages.VIEWS,
    *task_pages.VIEWS,
    *console_applications.VIEWS,
    *console_messages.VIEWS,
    *console_undelivered.VIEWS,
    *console_event_types.VIEWS,
    *console_import.VIEWS,
    *console_connectors.VIEWS,
    *console_keys.VIEWS,
    *console_integrations.VIEWS,
    *console_notifications.VIEWS,
)
