# SPDX-License-Identifier: MIT
"""Batch requests: many messages in one request, stored in one transaction, each with its own result.

A request with very many deliveries is stored in parts, one transaction each, so that other requests do not wait for
all of it. Each part stores its response under its own idempotency key, derived from the request's key and the
index of the part's first message. A request that is repeated after a failure finds the stored parts and continues.
"""

import hashlib
from collections.abc import Callable, Sequence

from tidings.core.idempotency import Response
from tidings.core.services import Acceptor, AcceptResult, Services
from tidings.errors import AppError
from tidings.model.app import App
from tidings.model.message import Draft
from tidings.storage.drivers.database import Write

DraftOrError = Draft | AppError
"""A message, or the error with which it was refused."""


class BatchRequest:
    """A request with many messages; `render` builds a response from results, `join` merges several responses."""

    def __init__(
        self,
        services: Services,
        acceptor: Acceptor,
        app: App,
        *,
        render: Callable[[list[AcceptResult]], Response],
        join: Callable[[Sequence[Response]], tuple[Response, int]],
    ) -> None:
        """`join` also returns the number of messages in the merged response."""
        self._services = services
        self._acceptor = acceptor
        self._app = app
        self._render = render
        self._join = join

    async def accept(self, drafts: Sequence[DraftOrError], idempotency_key: str | None) -> Response:
        """Store the messages; refused ones keep their position in the response."""
        if await self._fitting(drafts) == len(drafts) and not await self._stored(idempotency_key, 0):
            return await self._part(drafts, idempotency_key)
        stored = None if idempotency_key is None else await self._services.idempotency.find(idempotency_key)
        return stored or await self._in_parts(drafts, idempotency_key)

    async def _stored(self, idempotency_key: str | None, index: int) -> Response | None:
        """Return the stored response of the part that starts at an index, or None."""
        if idempotency_key is None:
            return None
        return await self._services.idempotency.find(_key_of_part(idempotency_key, index))

    async def _fitting(self, drafts: Sequence[DraftOrError]) -> int:
        """Return how many of the messages, from the first, fit in one transaction."""
        positions = [index for index, draft in enumerate(drafts) if not isinstance(draft, AppError)]
        valid = [draft for draft in drafts if not isinstance(draft, AppError)]
        fitting = await self._acceptor.fitting(self._app.org_id, self._app.id, valid)
        return len(drafts) if fitting >= len(valid) else positions[fitting]

    async def _in_parts(self, drafts: Sequence[DraftOrError], idempotency_key: str | None) -> Response:
        responses: list[Response] = []
        index = 0
        while index < len(drafts):
            response = await self._stored(idempotency_key, index)
            if response is None:
                rest, key = drafts[index:], None if idempotency_key is None else _key_of_part(idempotency_key, index)
                response = await self._part(rest[: await self._fitting(rest)], key)
            responses.append(response)
            index += self._join([response])[1]
        merged, _ = self._join(responses)

        async def no_work(_tx: Write) -> None:
            """Do nothing: the parts are already stored, and this call stores only the merged response."""

        return await self._services.idempotency.once(idempotency_key, no_work, lambda _: merged)

    async def _part(self, drafts: Sequence[DraftOrError], key: str | None) -> Response:
        valid = [draft for draft in drafts if not isinstance(draft, AppError)]

        with self._acceptor.preparing() as prepared:

            async def work(tx: Write) -> list[AcceptResult]:
                app = self._app
                stored = iter(await self._acceptor.accept_many(tx, app.org_id, app.id, valid, prepared))
                return [draft if isinstance(draft, AppError) else next(stored) for draft in drafts]

            return await self._services.idempotency.once(key, work, self._render)


def _key_of_part(idempotency_key: str, index: int) -> str:
    return hashlib.sha256(f"{idempotency_key}\n{index}".encode()).hexdigest()
