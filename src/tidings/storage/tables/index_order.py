# SPDX-License-Identifier: MIT
"""Plans that read rows in the order of an index.

PostgreSQL keeps the plan of a statement, and the statistics of a table that fills and empties within seconds are never
right. While they say that it is empty, to read all rows and sort them seems as cheap as to read the first ones from an
index.
"""

from typing import Final

from tidings.storage.drivers.database import Write

BY_INDEX: Final = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"


async def use_index_order(tx: Write) -> None:
    """Make PostgreSQL read rows in the order of an index, for the rest of the transaction.

    Each statement then has an `ORDER BY` that only the intended index has.
    """
    if not tx.has_one_writer:
        await tx.run(BY_INDEX)


_ANEW: Final = (
    f"{BY_INDEX}; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
    " SET LOCAL plan_cache_mode = force_custom_plan"
)


async def plan_anew(tx: Write) -> None:
    """Make PostgreSQL plan each statement again and by indexes, for the rest of the transaction.

    For work that has run into its time limit: a plan that was kept may be the reason.
    """
    if not tx.has_one_writer:
        await tx.run(_ANEW)
