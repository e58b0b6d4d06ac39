# SPDX-License-Identifier: MIT
"""Many messages in one request: stored in one transaction, each with an outcome of its own."""

from collections.abc import Callable, Sequence

from tidings.core.desk import Acceptor, Desk, Outcome
from tidings.core.receipts import Answer
from tidings.errors import AppError
from tidings.model.app import App
from tidings.model.message import Draft
from tidings.storage.database import Write


async def accept(
    desk: Desk,
    acceptor: Acceptor,
    app: App,
    drafts: Sequence[Draft | AppError],
    *,
    receipt: str | None,
    render: Callable[[list[Outcome]], Answer],
) -> Answer:
    """Store messages of an application; those that are refused already stand where they stood."""
    sound = [draft for draft in drafts if not isinstance(draft, AppError)]

    with acceptor.preparing() as prepared:

        async def work(tx: Write) -> list[Outcome]:
            stored = iter(await acceptor.accept_many(tx, app.org_id, app.id, sound, prepared))
            return [draft if isinstance(draft, AppError) else next(stored) for draft in drafts]

        return await desk.receipts.once(receipt, work, render)
