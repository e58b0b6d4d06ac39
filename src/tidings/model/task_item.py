# SPDX-License-Identifier: MIT
"""What can become of one item of a background task."""

from enum import StrEnum


class Outcome(StrEnum):
    """What has become of an item: first those of messages that are sent, then those of whatever else there is."""

    REARMED = "rearmed"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"
    WITHDRAWN = "withdrawn"
    CREATED = "created"
    COUNTED = "counted"
    AGGREGATED = "aggregated"
