# SPDX-License-Identifier: MIT
"""Outcomes of the items of a background task."""

from enum import StrEnum


class ItemOutcome(StrEnum):
    """The outcome of one item of a task."""

    REARMED = "rearmed"
    """The message is scheduled to be sent again."""
    DELIVERED = "delivered"
    """The receiver accepted the message."""
    FAILED = "failed"
    """The message failed again."""
    SKIPPED = "skipped"
    """The item could not be done; `reason` says why."""
    WITHDRAWN = "withdrawn"
    """The task was canceled before the message was sent."""
    CREATED = "created"
    """The broadcast created a message."""
    COUNTED = "counted"
    """The attempts of the application are counted."""
    AGGREGATED = "aggregated"
    """The subscriptions of the application are listed."""
