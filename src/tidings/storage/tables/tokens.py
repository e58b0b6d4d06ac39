# SPDX-License-Identifier: MIT
"""Revocations: records of application tokens that end before their expiry."""

from collections.abc import Sequence
from typing import Final

from tidings.ids import AppId
from tidings.storage.drivers.database import Read, Write

_ENDED: Final = """
SELECT 1 FROM token_end
WHERE app_id = :app AND issued_before > :issued_at AND ends_at <= :now AND whose IN :whose LIMIT 1
"""
# If the same tokens are ended twice, the earlier end applies.
_END: Final = """
INSERT INTO token_end (app_id, whose, issued_before, ends_at)
SELECT * FROM given(app_id text, whose text, issued_before bigint, ends_at bigint)
ON CONFLICT (app_id, whose, issued_before) DO UPDATE SET ends_at = excluded.ends_at
WHERE excluded.ends_at < token_end.ends_at
"""
_PRUNE: Final = "DELETE FROM token_end WHERE ends_at < :before"


async def is_ended(read: Read, app_id: AppId, whose: Sequence[str], *, issued_at: int, now: int) -> bool:
    """Return whether a token was ended under any of its names, such as `session:…` or `token:…`."""
    return await read.row(_ENDED, app=app_id, whose=list(whose), issued_at=issued_at, now=now) is not None


async def end(tx: Write, app_id: AppId, whose: Sequence[str], *, issued_before: int, ends_at: int) -> None:
    """End the tokens that have one of these names and were issued before a timestamp."""
    await tx.bulk(_END, [(app_id, each, issued_before, ends_at) for each in whose])


async def prune(tx: Write, *, before: int) -> int:
    """Delete the records of tokens that ended before a timestamp; return how many."""
    return await tx.run(_PRUNE, before=before)
