# SPDX-License-Identifier: MIT
"""Many messages in one request: stored in one transaction, each with its own result.

Messages with very many deliveries are stored in parts, one transaction each, so that other requests do not wait for
all of them. Each part stores its response under its own idempotency key, derived from the request's key and the index
of its first message: a request that is repeated after a failure finds the stored parts and continues.
"""

import hashlib
from collections.abc import Callable, Sequence

from tidings.core.idempotency import Response
from tidings.core.services import Acceptor, AcceptResult, Services
from tidings.errors import AppError
from tidings.model.app import App
from tidings.model.message import MessageDraft
from tidings.storage.database import Write

DraftOrError = MessageDraft | AppError
"""A message, or the error that refuses it."""


class BatchRequest:
    """The messages of one request; `render` makes a response of results, `join` makes one of several."""

    def __init__(
        self,
        services: Services,
        acceptor: Acceptor,
        app: App,
        *,
        render: Callable[[list[AcceptResult]], Response],
        join: Callable[[Sequence[Response]], tuple[Response, int]],
    ) -> None:
        """`join` also returns the number of messages in the responses."""
        self._services = services
        self._acceptor = acceptor
        self._app = app
        self._render = render
        self._join = join

    async def accept(self, drafts: Sequence[DraftOrError], idempotency_key: str | None) -> Response:
        """Store messages; those that are already refused keep their place in the response."""
        if await self._fitting(drafts) == len(drafts) and not await self._stored(idempotency_key, 0):
            return await self._part(drafts, idempotency_key)
        stored = None if idempotency_key is None else await self._services.idempotency.find(idempotency_key)
        return stored or await self._in_parts(drafts, idempotency_key)

    async def _stored(self, idempotency_key: str | None, at: int) -> Response | None:
        """Return the stored response to the part that begins at an index, if there is one."""
        if idempotency_key is None:
            return None
        return await self._services.idempotency.find(_key_of_part(idempotency_key, at))

    async def _fitting(self, drafts: Sequence[DraftOrError]) -> int:
        """Return how many of the messages one transaction takes, counted from the first."""
        places = [at for at, each in enumerate(drafts) if not isinstance(each, AppError)]
        sound = [each for each in drafts if not isinstance(each, AppError)]
        most = await self._acceptor.fitting(self._app.org_id, self._app.id, sound)
        return len(drafts) if most >= len(sound) else places[most]

    async def _in_parts(self, drafts: Sequence[DraftOrError], idempotency_key: str | None) -> Response:
        answers: list[Response] = []
        at = 0
        while at < len(drafts):
            answer = await self._stored(idempotency_key, at)
            if answer is None:
                rest, key = drafts[at:], None if idempotency_key is None else _key_of_part(idempotency_key, at)
                answer = await self._part(rest[: await self._fitting(rest)], key)
            answers.append(answer)
            at += self._join([answer])[1]
        whole, _ = self._join(answers)

        async def nothing(_tx: Write) -> None:
            """Do nothing: every part is stored, and only the response is stored here."""

        return await self._services.idempotency.once(idempotency_key, nothing, lambda _: whole)

    async def _part(self, drafts: Sequence[DraftOrError], key: str | None) -> Response:
        sound = [draft for draft in drafts if not isinstance(draft, AppError)]

        with self._acceptor.preparing() as prepared:

            async def work(tx: Write) -> list[AcceptResult]:
                app = self._app
                stored = iter(await self._acceptor.accept_many(tx, app.org_id, app.id, sound, prepared))
                return [draft if isinstance(draft, AppError) else next(stored) for draft in drafts]

            return await self._services.idempotency.once(key, work, self._render)


def _key_of_part(idempotency_key: str, at: int) -> str:
    return hashlib.sha256(f"{idempotency_key}\n{at}".encode()).hexdigest()
