# SPDX-License-Identifier: MIT
"""Portal access over HTTP: creates and revokes tokens for the users of an application."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta

from tidings.api import samples
from tidings.api.apps import ApplicationIn
from tidings.api.fields import URL, Name
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import In, Out, json_response
from tidings.clock import SECOND
from tidings.core import access, sessions
from tidings.core.access import PortalTerms
from tidings.core.idempotency import Response
from tidings.errors import Fault
from tidings.model import text
from tidings.model.app import App
from tidings.model.faults import set_faults
from tidings.model.token import AppPortalCapability, Capability

TAG: Final = "Authentication"
PORTAL: Final = "/app-portal"
"""The path of the portal on this server."""

_WEEK: Final = 7 * 24 * 60 * 60
_HOUR: Final = 60 * 60
_FLAGS_MAX: Final = 25
_SESSIONS_MAX: Final = 1_000
_EXPIRY: Final = Meta(extra_json_schema={"format": "uint64", "minimum": _HOUR, "maximum": _WEEK})
_FLAGS: Final = Meta(extra_json_schema={"uniqueItems": True, "maxItems": _FLAGS_MAX})
_SET: Final = Meta(extra_json_schema={"uniqueItems": True})
_SESSION: Final = Meta(
    extra_json_schema={"minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9@_-]+$", "example": samples.SESSION}
)
_SESSIONS: Final = Meta(extra_json_schema={"maxItems": _SESSIONS_MAX})
_DEPRECATED: Final = Meta(extra_json_schema={"deprecated": True})
_DELAY: Final = Meta(extra_json_schema={"format": "int64", "minimum": 0, "maximum": sessions.EXPIRE_MAX_SECONDS})


class AppPortalAccessIn(In, kw_only=True):
    """What a token permits, and for how long."""

    application: ApplicationIn | None = None
    """The application to create if none has the uid in the path. Its `uid` must then equal that in the path."""
    read_only: Annotated[bool | None, _DEPRECATED] = None
    """The former form of `capabilities`, which takes precedence: true permits only reading."""
    capabilities: Annotated[list[AppPortalCapability] | None, _SET] = None
    """What the token permits. Null, the default, means everything; reading is always permitted."""
    feature_flags: Annotated[list[Name] | None, _FLAGS] = None
    """The feature flags of the token: it sees event types with one of them, and those without flags."""
    expiry: Annotated[int | None, _EXPIRY] = None
    """How long the token is valid, in seconds, from one hour to seven days. Seven days by default."""
    session_id: Annotated[str | None, _SESSION] = None
    """A name for a group of tokens, which can be revoked together. Null, the default, means none."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from set_faults("featureFlags", map(text.name_error, self.feature_flags or []))
        if len(set(self.feature_flags or [])) > _FLAGS_MAX:
            yield Fault(("body", "featureFlags"), f"featureFlags must have at most {_FLAGS_MAX} items.")
        if self.expiry is not None and not _HOUR <= self.expiry <= _WEEK:
            yield Fault(("body", "expiry"), f"expiry must be between {_HOUR} and {_WEEK} seconds")
        if self.session_id is not None and not text.SESSION.fullmatch(self.session_id):
            yield Fault(("body", "sessionId", "__all__"), _SESSION_WRONG)
        if self.application is not None:
            yield from self.application.faults_inside()

    @property
    def terms(self) -> PortalTerms:
        """The lifetime and the permissions of the token."""
        return PortalTerms(
            lifetime_ms=(self.expiry or _WEEK) * SECOND,
            feature_flags=tuple(dict.fromkeys(self.feature_flags or ())),
            capabilities=self._capabilities(),
            session=self.session_id,
        )

    def _capabilities(self) -> frozenset[Capability] | None:
        """Return the capabilities of the token; reading is always included, and None means everything."""
        if self.capabilities is not None:
            return frozenset((Capability.VIEW_BASE, *self.capabilities))
        return frozenset((Capability.VIEW_BASE,)) if self.read_only else None


class AppPortalAccessOut(Out, kw_only=True):
    """The token, and the URL of the portal."""

    url: Annotated[str, URL]
    """The URL of the portal, with the token after `#`."""
    token: str
    """The token, for the header `Authorization: Bearer …`."""


class ApplicationTokenExpireIn(In, kw_only=True):
    """Which tokens to revoke, and when."""

    expiry: Annotated[int | None, _DELAY] = None
    """After how many seconds the tokens expire, up to three days. 0, the default, revokes them immediately."""
    session_ids: Annotated[tuple[Annotated[str, _SESSION], ...], _SESSIONS] = ()
    """Revoke only the tokens of these sessions, at most 1,000. All tokens by default."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if self.expiry is not None and not 0 <= self.expiry <= sessions.EXPIRE_MAX_SECONDS:
            yield Fault(("body", "expiry"), f"expiry must be between 0 and {sessions.EXPIRE_MAX_SECONDS} seconds")
        if len(self.session_ids) > _SESSIONS_MAX:
            yield Fault(("body", "sessionIds"), f"sessionIds must have at most {_SESSIONS_MAX} items.")
        if not all(map(text.SESSION.fullmatch, self.session_ids)):
            yield Fault(("body", "sessionIds", "__all__"), _SESSION_WRONG)


_SESSION_WRONG: Final = "Sessions have 1 to 64 characters of the following pattern: [a-zA-Z0-9@_-]."


async def portal_access(call: Call[Query, AppPortalAccessIn]) -> Response:
    """Create a token for the users of an application, and the URL of the portal for it.

    With `application` in the body, an unknown application is created; otherwise it is a 404.
    """
    body, ref = call.body, call.path["app_id"]
    draft = None if body.application is None else partial(body.application.drafted_for, ref)
    app = await sessions.app_for(call.context.services, call.principal.org_id, ref, draft)
    return await _access(call, app, body.terms)


async def dashboard_access(call: Call[Query, Nothing]) -> Response:
    """Create a token for the users of an application that permits everything, for seven days.

    The legacy form of `app-portal-access`, without a body.
    """
    app = await sessions.app_for(call.context.services, call.principal.org_id, call.path["app_id"], None)
    return await _access(call, app, PortalTerms(lifetime_ms=_WEEK * SECOND))


async def _access(call: Call[Query, Any], app: App, terms: PortalTerms) -> Response:
    """Create a token and respond with it. In the URL it follows `#`: browsers do not send that part to servers."""
    issued_at = await sessions.issue_timestamp(call.context.services, call.idempotency_key)
    token = access.issue_portal_token(call.context.gatekeeper.signer, app, terms, issued_at)
    return json_response(200, AppPortalAccessOut(url=f"{call.origin()}{PORTAL}#key={token}", token=token))


async def logout(call: Call[Query, Nothing]) -> Response:
    """Revoke the token of this request.

    A token of the organization cannot be revoked: it is a 403.
    """
    await sessions.revoke(call.context.services, call.principal)
    return Response(204)


async def expire_all(call: Call[Query, ApplicationTokenExpireIn]) -> Response:
    """Revoke the tokens of an application, or those of some sessions, immediately or after a delay.

    Tokens that are issued later stay valid.
    """
    body = call.body
    await sessions.revoke_all(call.context.services, call.app, body.session_ids, (body.expiry or 0) * SECOND)
    return Response(204)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/auth/app-portal-access/{app_id}",
        operation="v1.authentication.app-portal-access",
        tag=TAG,
        summary="Create a token for the users of an application",
        access=Access.ORG,
        names_app=False,
        query=Query,
        body=AppPortalAccessIn,
        handler=portal_access,
        responses={200: AppPortalAccessOut},
    ),
    Route(
        method="POST",
        path="/auth/dashboard-access/{app_id}",
        operation="v1.authentication.dashboard-access",
        tag=TAG,
        summary="Create a token for the users of an application (legacy)",
        access=Access.ORG,
        names_app=False,
        query=Query,
        body=Nothing,
        handler=dashboard_access,
        responses={200: AppPortalAccessOut},
    ),
    Route(
        method="POST",
        path="/auth/logout",
        operation="v1.authentication.logout",
        tag=TAG,
        summary="Revoke the token of this request",
        access=Access.ANY,
        needs=None,
        query=Query,
        body=Nothing,
        handler=logout,
        responses={204: None},
    ),
    Route(
        method="POST",
        path="/auth/app/{app_id}/expire-all",
        operation="v1.authentication.expire-all",
        tag=TAG,
        summary="Revoke the tokens of an application",
        access=Access.ORG,
        query=Query,
        body=ApplicationTokenExpireIn,
        handler=expire_all,
        responses={204: None},
    ),
)
