# SPDX-License-Identifier: MIT
"""API keys over HTTP, in the form of the Svix API: an organization manages its own, an operator those of all.

Keys of operators are created by the command line only: that is who can sign with the secret of the database.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from tidings import ids
from tidings.api import samples
from tidings.api.fields import TITLE
from tidings.api.query import Direction, PageLimit, Query, iterator_of
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import CreatedAt, In, ListResponse, Out, Timestamp, format_timestamp, json_response, listing
from tidings.clock import SECOND
from tidings.core import api_keys
from tidings.core.api_keys import KeyDraft, KeyEdit, KeyRights, NewKey
from tidings.core.idempotency import Response
from tidings.core.sessions import EXPIRE_MAX_SECONDS
from tidings.errors import Fault, forbidden, invalid, not_found
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.model import api_key
from tidings.model.api_key import ApiKey, KeyScope
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order

TAG: Final = "Authentication"
CLI: Final = "cli"
"""Who created a key, if the command line did."""

_READ_ONLY: Final = "read-only"
_APPLICATION: Final = "application:"
_SCOPES_MAX: Final = 2
_LIFETIME_MAX: Final = api_key.LIFETIME_MAX_MS // SECOND
_SCOPES: Final = Meta(
    extra_json_schema={
        "minItems": 1,
        "maxItems": _SCOPES_MAX,
        "items": {"type": "string", "pattern": r"^(organization|read-only|application:[a-zA-Z0-9\-_.]{1,256})$"},
        "example": [f"{_APPLICATION}{samples.APP_UID}", _READ_ONLY],
    }
)
_LIFETIME: Final = Meta(extra_json_schema={"format": "uint64", "minimum": 1, "maximum": _LIFETIME_MAX})
_DELAY: Final = Meta(extra_json_schema={"format": "int32", "minimum": 0, "maximum": EXPIRE_MAX_SECONDS})
_EXAMPLE: Final = Meta(extra_json_schema={"example": f"{api_key.PREFIX}…7Hq2"})


class ApiTokenIn(In, kw_only=True):
    """The name and the permissions of a new API key."""

    name: Annotated[str, TITLE]
    """A name for people, such as the service that uses the key."""
    scopes: Annotated[tuple[str, ...] | None, _SCOPES] = None
    """`organization`, the default, or `application:` and an id or uid; with `read-only`, the key cannot write."""
    expiry: Annotated[int | None, _LIFETIME] = None
    """How long the key is valid, in seconds. Null, the default, means until it is revoked."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from _name_faults(self.name)
        yield from _scope_faults(self.scopes)
        if self.expiry is not None and not 1 <= self.expiry <= _LIFETIME_MAX:
            yield Fault(("body", "expiry"), f"expiry must be between 1 and {_LIFETIME_MAX} seconds")


class ApiTokenUpdate(In, kw_only=True):
    """The new name of an API key."""

    name: Annotated[str, TITLE]
    """A name for people, such as the service that uses the key."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from _name_faults(self.name)


class ApiTokenPatch(In, kw_only=True):
    """The changes of an API key."""

    name: Annotated[str, TITLE] | None = None
    """A name for people. Null or absent keeps the present one."""
    scopes: Annotated[tuple[str, ...] | None, _SCOPES] = None
    """The new permissions, as when a key is created. Null or absent keeps the present ones."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if self.name is not None:
            yield from _name_faults(self.name)
        yield from _scope_faults(self.scopes)


class ApiTokenExpireIn(In, kw_only=True):
    """When to revoke an API key."""

    expiry: Annotated[int | None, _DELAY] = None
    """After how many seconds the key expires, up to three days. 0, the default, revokes it immediately."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if self.expiry is not None and not 0 <= self.expiry <= EXPIRE_MAX_SECONDS:
            yield Fault(("body", "expiry"), f"expiry must be between 0 and {EXPIRE_MAX_SECONDS} seconds")


class ApiTokenOut(Out, kw_only=True):
    """A new API key."""

    token: str
    """The key, for the header `Authorization: Bearer …`. It is not stored, and cannot be shown again."""
    id: str
    """The id of the key."""
    name: str
    """The name for people."""
    created_at: CreatedAt
    expires_at: Timestamp | None
    """When the key becomes invalid. Null if it does not expire."""
    scopes: tuple[str, ...]
    """What the key permits."""


class ApiTokenDetailOut(Out, kw_only=True):
    """Details of an API key that the Svix API does not have."""

    org_id: str
    """The organization of the key."""
    created_by: str
    """The id of the key, the application or the organization that created it, or `cli` for the command line."""
    last_used_at: Timestamp | None
    """When the key was last used, to the minute. Null if it was not used yet."""
    revoked_at: Timestamp | None
    """When the key was revoked. Null if it was not."""


class ApiTokenCensoredOut(Out, kw_only=True):
    """An API key, without its secret part."""

    censored_token: Annotated[str, _EXAMPLE]
    """The beginning and the end of the key."""
    id: str
    """The id of the key."""
    name: str
    """The name for people."""
    created_at: CreatedAt
    expires_at: Timestamp | None
    """When the key became or becomes invalid. Null if it does not expire."""
    scopes: tuple[str, ...]
    """What the key permits."""
    x: ApiTokenDetailOut | UnsetType = UNSET
    """Members that extend the Svix API."""


class ApiTokenListQuery(Query, kw_only=True):
    """A page of API keys."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: Annotated[str | None, iterator_of(ids.API_KEY)] = None
    order: Direction = None


async def create(call: Call[Query, ApiTokenIn]) -> Response:
    """Create an API key, which only this response contains.

    A request repeated with the same idempotency key is a 409: the key is stored nowhere, so it cannot be shown again.
    """
    org_id, body, services = _org_in_path(call), call.body, call.context.services
    rights = _rights(body.scopes)
    if (rights.scope is KeyScope.OPERATOR) != (org_id == MANAGEMENT_ORG) or not _may_grant(call, rights):
        raise invalid(Fault(("body", "scopes"), "Keys of operators are created by `tidings keys create --operator`."))
    lifetime_ms = None if body.expiry is None else body.expiry * SECOND
    draft = KeyDraft(org_id, body.name, rights, _creator(call), lifetime_ms)
    made = await api_keys.create_once(services, draft, call.idempotency_key)
    return json_response(200, _rendered_new(made))


async def page(call: Call[ApiTokenListQuery, Nothing]) -> Response:
    """Return a page of the API keys of an organization, newest first; ended ones for 90 days.

    For an operator, the organization `org_00000000000SvixManagement00` means all.
    """
    query = call.query
    cursor = Cursor(query.order or Order.DESCENDING, query.limit, query.iterator)
    return listing(await api_keys.page(call.context.services.db, _owner(call), cursor), _rendered)


async def get(call: Call[Query, Nothing]) -> Response:
    """Return an API key, also one that ended in the last 90 days."""
    key = await api_keys.get(call.context.services.db, _owner(call), call.path["key_id"])
    return json_response(200, _rendered(key))


async def put(call: Call[Query, ApiTokenUpdate]) -> Response:
    """Rename an API key."""
    return await _change(call, KeyEdit(name=call.body.name))


async def patch(call: Call[Query, ApiTokenPatch]) -> Response:
    """Change the name or the permissions of an API key, on every node within two seconds."""
    scopes = call.body.scopes
    return await _change(call, KeyEdit(call.body.name, None if scopes is None else _rights(scopes)))


async def expire(call: Call[Query, ApiTokenExpireIn]) -> Response:
    """Revoke an API key, immediately or after a delay; every node refuses it within two seconds.

    A revoked key stays revoked.
    """
    services = call.context.services
    await api_keys.revoke(
        services.db,
        _owner(call),
        call.path["key_id"],
        services.clock.now(),
        after_ms=(call.body.expiry or 0) * SECOND,
        changed=services.notifier.keys,
    )
    return Response(204)


async def _change(call: Call[Query, Any], edit: KeyEdit) -> Response:
    services, key_id = call.context.services, call.path["key_id"]
    key = await api_keys.get(services.db, _owner(call), key_id)
    if edit.rights is not None and KeyScope.OPERATOR in (key.scope, edit.rights.scope):
        raise invalid(Fault(("body", "scopes"), "The scopes of an operator's key cannot change, nor become those."))
    changed = await api_keys.change(
        services.db, _owner(call), key_id, edit, services.clock.now(), changed=services.notifier.keys
    )
    return json_response(200, _rendered(changed))


def _org_in_path(call: Call[Any, Any]) -> OrgId:
    """Return the organization in the path; raise `not_found` for one that is not the caller's."""
    org_id, caller = OrgId(call.path["env_id"]), call.principal
    if caller.is_operator:
        return org_id
    if caller.org_id == MANAGEMENT_ORG:  # its keys are those of operators
        raise forbidden()
    if org_id != caller.org_id:
        raise not_found()
    return org_id


def _owner(call: Call[Any, Any]) -> OrgId | None:
    """Return the organization whose keys the caller manages; None for an operator that asks for all."""
    return api_keys.organization_of(_org_in_path(call))


def _may_grant(call: Call[Any, Any], rights: KeyRights) -> bool:
    """Return whether the caller may create such a key: the command line has no key itself."""
    return rights.scope is not KeyScope.OPERATOR or (call.principal.is_operator and call.principal.key is None)


def _creator(call: Call[Any, Any]) -> str:
    caller = call.principal
    if caller.key is not None:
        return caller.key.id
    return CLI if caller.is_operator else caller.subject


def _rights(scopes: tuple[str, ...] | None) -> KeyRights:
    """Return the permissions of valid scopes."""
    others = [each for each in scopes or () if each != _READ_ONLY]
    is_read_only = _READ_ONLY in (scopes or ())
    if not others:
        return KeyRights(KeyScope.ORGANIZATION, None, is_read_only=is_read_only)
    if others[0].startswith(_APPLICATION):
        return KeyRights(KeyScope.APPLICATION, others[0].removeprefix(_APPLICATION), is_read_only=is_read_only)
    return KeyRights(KeyScope(others[0]), None, is_read_only=is_read_only)


def _scope_faults(scopes: tuple[str, ...] | None) -> Iterator[Fault]:
    if scopes is None:
        return
    owners = [each for each in scopes if each != _READ_ONLY]
    known = all(each in (KeyScope.ORGANIZATION.value, KeyScope.OPERATOR.value) or _names_app(each) for each in owners)
    if not scopes or len(scopes) != len(set(scopes)) or len(owners) > 1 or not known:
        message = "scopes are `organization` or `application:` and an id or uid, and optionally `read-only`"
        yield Fault(("body", "scopes"), message)


def _names_app(scope: str) -> bool:
    return scope.startswith(_APPLICATION) and api_key.is_reference(scope.removeprefix(_APPLICATION))


def _name_faults(name: str) -> Iterator[Fault]:
    wrong = api_key.name_error(name)
    if wrong is not None:
        yield Fault(("body", "name", "__all__"), wrong)


def scopes_of(key: ApiKey) -> tuple[str, ...]:
    """Return the permissions of a key as texts."""
    owner = f"{_APPLICATION}{key.app_id}" if key.scope is KeyScope.APPLICATION else key.scope.value
    return (owner, _READ_ONLY) if key.is_read_only else (owner,)


def _rendered_new(made: NewKey) -> ApiTokenOut:
    key = made.key
    return ApiTokenOut(
        token=made.text,
        id=key.id,
        name=key.name,
        created_at=format_timestamp(key.created_at),
        expires_at=_timestamp(key.expires_at),
        scopes=scopes_of(key),
    )


def _rendered(key: ApiKey) -> ApiTokenCensoredOut:
    return ApiTokenCensoredOut(
        censored_token=key.censored,
        id=key.id,
        name=key.name,
        created_at=format_timestamp(key.created_at),
        expires_at=_timestamp(key.expires_at),
        scopes=scopes_of(key),
        x=ApiTokenDetailOut(
            org_id=key.org_id,
            created_by=key.created_by,
            last_used_at=_timestamp(key.last_used_at),
            revoked_at=_timestamp(key.revoked_at),
        ),
    )


def _timestamp(timestamp: int | None) -> str | None:
    return None if timestamp is None else format_timestamp(timestamp)


_KEYS: Final = "/management/authentication/{env_id}/api-token"
_KEY: Final = _KEYS + "/{key_id}"


def _route(method: str, path: str, name: str, summary: str, **more: Any) -> AnyRoute:  # noqa: ANN401 - fields of Route
    operation = f"v1.management.authentication.{name}"
    parts = {"query": Query, "body": Nothing, "responses": {200: ApiTokenCensoredOut}, **more}
    return Route(
        method=method, path=path, operation=operation, tag=TAG, summary=summary, access=Access.ORG_OR_OPERATOR, **parts
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    _route(
        "GET",
        _KEYS,
        "list-api-tokens",
        "List the API keys of an organization",
        query=ApiTokenListQuery,
        handler=page,
        responses={200: ListResponse[ApiTokenCensoredOut]},
    ),
    _route(
        "POST",
        _KEYS,
        "create-api-token",
        "Create an API key",
        body=ApiTokenIn,
        handler=create,
        responses={200: ApiTokenOut},
    ),
    _route("GET", _KEY, "get-api-token", "Get an API key", handler=get),
    _route("PUT", _KEY, "update-api-token", "Rename an API key", body=ApiTokenUpdate, handler=put),
    _route("PATCH", _KEY, "patch-api-token", "Update parts of an API key", body=ApiTokenPatch, handler=patch),
    _route(
        "POST",
        f"{_KEY}/expire",
        "expire-api-token",
        "Revoke an API key",
        body=ApiTokenExpireIn,
        handler=expire,
        responses={204: None},
    ),
)
