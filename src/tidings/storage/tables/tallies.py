# SPDX-License-Identifier: MIT
"""Counts of attempts, from an index-only scan."""

from collections import Counter
from typing import Final

from tidings.ids import EndpointId
from tidings.model.attempt import MessageStatus
from tidings.storage.drivers.database import Read

_BY_STATUS: Final = """
SELECT status, count(*) AS attempts FROM attempt
WHERE endpoint_id = :endpoint AND id >= :first AND id < :below GROUP BY status
"""


async def by_status(read: Read, endpoint_id: EndpointId, *, first: str, below: str) -> Counter[MessageStatus]:
    """Count the attempts at an endpoint with `first <= id < below`, by status."""
    rows = await read.rows(_BY_STATUS, endpoint=endpoint_id, first=first, below=below)
    return Counter({MessageStatus(row["status"]): row["attempts"] for row in rows})
