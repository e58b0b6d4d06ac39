# SPDX-License-Identifier: MIT
"""The declaration of a kind of task: everything that the API, the command line and the workers know about it.

The registry of handlers, the enum and the results in the OpenAPI document, the dry runs, the commands and the table in
the documentation are made from the declarations.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tidings.api.routes import Access, AnyRoute
from tidings.ids import AppId, OrgId
from tidings.model.app import App
from tidings.model.task import NewTask
from tidings.model.task_kind import TaskKind
from tidings.model.token import Principal
from tidings.tasks.command import CliCommand
from tidings.tasks.handler import Handler, HandlerServices

LAST = 100
"""The place of kinds that are not in the contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration(TaskKind):
    """A kind, with its handler, and how it is started."""

    handler: Callable[[TaskKind, HandlerServices], Handler]
    """Builds the handler of a process."""
    args: type
    """The stored arguments of a task."""
    lock: str | None = None
    """What a task locks: two tasks with the same lock on the same object run one after the other."""
    first_rate: float | None = None
    """Assumed rows per second, until a task of the kind has finished. Without it a dry run has no estimate."""
    route: AnyRoute | None = None
    """The route that starts a task."""
    command: CliCommand | None = None
    """The command `tidings tasks run …` that calls the route."""
    place: int = LAST
    """The place in the enum of the API, which has the order of the contract."""
    old_name: str | None = None
    """The only spelling of the name that old SDKs know."""

    @property
    def is_for_applications(self) -> bool:
        """Whether the token of an application may start tasks of this kind."""
        return self.route is not None and self.route.access is Access.APP

    @property
    def member(self) -> str:
        """The name of the kind in enums."""
        return self.name.replace(".", "_").replace("-", "_").upper()

    def on_endpoint(self, app: App, endpoint_id: str, args: object, created_by: str, rate_limit: int | None) -> NewTask:
        """Build a task that locks an endpoint."""
        return self._task(app.org_id, app.id, args, created_by, lock_on=endpoint_id, rate_limit=rate_limit)

    def on_app(self, app: App, args: object, created_by: str) -> NewTask:
        """Build a task on an application, which it locks if the kind has a lock."""
        return self._task(app.org_id, app.id, args, created_by, lock_on=app.id)

    def on_organization(self, principal: Principal, args: object, *, payload: bytes | None = None) -> NewTask:
        """Build a task on all applications of an organization. A large payload is stored beside the arguments."""
        return self._task(principal.org_id, None, args, principal.subject, payload=payload)

    def _task(  # noqa: PLR0913 - private
        self,
        org_id: OrgId,
        app_id: AppId | None,
        args: object,
        created_by: str,
        *,
        lock_on: str = "",
        rate_limit: int | None = None,
        payload: bytes | None = None,
    ) -> NewTask:
        return NewTask(
            kind=self.name,
            org_id=org_id,
            app_id=app_id,
            args=msgspec.json.encode(args).decode(),
            lock_key=None if self.lock is None else f"{self.lock}:{lock_on}",
            created_by=created_by,
            rate_limit=rate_limit,
            payload=payload,
        )
