# SPDX-License-Identifier: MIT
"""Outcomes of the items of a background task."""

from enum import StrEnum


class ItemOutcome(StrEnum):
    """The outcome of an item: `rearmed` to `withdrawn` for resent messages, the others for other kinds."""

    REARMED = "rearmed"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"
    WITHDRAWN = "withdrawn"
    CREATED = "created"
    COUNTED = "counted"
    AGGREGATED = "aggregated"
