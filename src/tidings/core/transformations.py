# SPDX-License-Identifier: MIT
"""Use cases of transformations: get, change and simulate the script of an endpoint.

A script is compiled before it is stored, in the sandbox and outside of any transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tidings.core import releases
from tidings.core.endpoints import refresh_after_commit
from tidings.core.services import Services
from tidings.errors import Fault, invalid, unavailable
from tidings.model.app import App
from tidings.model.encryption import DecryptionError
from tidings.model.transformation import Script, ScriptError, Transformed, Webhook
from tidings.sandbox.pool import MISSING, SandboxBusy, is_installed
from tidings.storage.drivers.database import retried
from tidings.storage.tables import apps, endpoints, transformations
from tidings.storage.tables.transformations import StoredTransformation

_BUSY = "The processes for scripts are busy; repeat the request later."


@dataclass(frozen=True, slots=True)
class Transformation:
    """The script of an endpoint, its variables, and whether deliveries use it."""

    code: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = False
    updated_at: int | None = None
    """None if the endpoint never had one."""


Edit = Callable[[Transformation], Transformation]
"""A change to a transformation, as a function of its current state."""


def is_available() -> bool:
    """Return whether this process can run scripts: whether the extra `transformations` is installed."""
    return is_installed()


async def get(services: Services, app: App, ref: str) -> Transformation:
    """Return the transformation of an endpoint."""
    async with services.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        stored = await transformations.find(read, endpoint.id)
    return _opened(services, stored)


async def change(services: Services, app: App, ref: str, edit: Edit) -> None:
    """Apply an edit. Raises `AppError` for a script that does not compile, or that no process here could run.

    A conflict names the node if one of an older release would send unchanged requests.
    """
    before = await get(services, app, ref)
    after = edit(before)
    if after.enabled and after.code is None:
        raise invalid(Fault(("body", "enabled"), "A transformation without code cannot be enabled. Set `code`."))
    if after.enabled and not is_installed():
        raise invalid(Fault(("body", "enabled"), MISSING))
    if after.code is not None and is_installed() and (after.code != before.code or after.enabled > before.enabled):
        await compile_script(services, app.id, after.code)

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.now()
            await apps.advance_routing_version(tx, app.id, now)
            endpoint = await endpoints.get(tx, app.id, ref)
            was = await transformations.find(tx, endpoint.id)
            edited = edit(_opened(services, was))
            if edited.enabled and (was is None or not was.enabled):
                await releases.require(tx, releases.DISPATCH, "A transformation")
            variables = services.encryption.encode_headers(edited.variables)
            await transformations.put(
                tx, endpoint.id, StoredTransformation(edited.code, variables, edited.enabled, now)
            )
            refresh_after_commit(tx, services, endpoint)

    await retried(work)


async def compile_script(services: Services, key: str, code: str, *, member: str = "code") -> None:
    """Check that a script compiles. Raises `invalid` with the place of the error.

    Callers with the same `key` wait for each other. `member` is the member of the body that has the script.
    """
    try:
        await services.sandbox.compile(key, code)
    except ScriptError as error:
        raise invalid(Fault(("body", member), str(error))) from error
    except SandboxBusy as error:
        raise unavailable(_BUSY) from error


async def simulate(
    services: Services,
    app: App,
    ref: str,
    code: str,
    webhook: Callable[[str], Webhook],
    variables: Mapping[str, str] | None,
) -> Transformed:
    """Run a script, and return the request that it makes; nothing is sent or stored.

    `webhook` makes the request of the endpoint's URL. `variables` are those of the endpoint by default.
    """
    async with services.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        stored = await transformations.find(read, endpoint.id)
    if variables is None:
        variables = _opened(services, stored).variables
    try:
        return await services.sandbox.run(app.id, Script(code, variables), webhook(endpoint.url))
    except ScriptError as error:
        raise invalid(Fault(("body", "code"), str(error))) from error
    except SandboxBusy as error:
        raise unavailable(_BUSY) from error


def _opened(services: Services, stored: StoredTransformation | None) -> Transformation:
    if stored is None:
        return Transformation()
    try:
        variables = services.encryption.decode_headers(stored.variables)
    except DecryptionError as error:
        raise unavailable(f"The variables cannot be read: {error}.") from error
    return Transformation(stored.code, variables, stored.enabled, stored.updated_at)
