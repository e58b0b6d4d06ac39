# SPDX-License-Identifier: MIT
"""Call every method that the official SDK has for applications, endpoints, event types and portal access.

Either generation of the SDK runs it; this module maps the names that differ in the older one. As a program it takes
`{"url", "token"}` as JSON on its standard input and prints as JSON the methods that it has called, and this SDK's
methods that it has not called.
"""

import json
import sys
import warnings
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import svix.models as m
from svix.api import EndpointGetStatsOptions, Svix, SvixOptions
from svix.api.application import ApplicationListOptions
from svix.api.endpoint import EndpointListOptions
from svix.api.event_type import EventTypeDeleteOptions, EventTypeListOptions
from svix.exceptions import HttpError

OLDER = {"upsert": "update", "set_headers": "update_headers"}
NEWER = {older: newer for newer, older in OLDER.items()}
ENDPOINT: Any = getattr(m, "EndpointUpsertIn", None) or vars(m)["EndpointUpdate"]
EVENT_TYPE: Any = getattr(m, "EventTypeUpsertIn", None) or vars(m)["EventTypeUpdate"]
TYPES = "event_types" if "event_types" in m.EndpointOut.model_fields else "filter_types"
patch_of: Any = m.EndpointPatch
expire: Any = m.ApplicationTokenExpireIn
URL = "https://example.com/in"
SCRIPT = "function handler(webhook) { return webhook; }"


class Everyday:
    """One run, with the methods that it has called."""

    resources: tuple[str, ...] = ("application", "endpoint", "event_type", "authentication", "integration")

    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.called: set[str] = set()
        self.open = ExitStack()

    def run(self) -> dict[str, Any]:
        """Call everything."""
        with self.open:
            self.client = self.client_of(self.given["token"])
            self.client.health.get()
            self.event_types()
            app_id = self.applications()
            self.endpoints(app_id)
            self.portal(app_id)
            self.integrations(app_id)
            self.imports()
        return self.told()

    def told(self) -> dict[str, Any]:
        """Return the called methods and this SDK's other methods, under the newer generation's names."""
        has = {
            f"{resource}.{NEWER.get(name, name)}"
            for resource in self.resources
            for name in dir(getattr(self.client, resource))
            if not name.startswith("_")
        }
        return {"called": sorted(self.called), "left": sorted(has - self.called)}

    def client_of(self, token: str) -> Svix:
        client = Svix(token, SvixOptions(server_url=self.given["url"]))
        self.open.enter_context(closing(client._httpx_client))  # noqa: SLF001 - the SDK has no way to close it
        return client

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method by its name in the newer generation."""
        resource, _, name = method.partition(".")
        owner = getattr(self.client, resource)
        self.called.add(method)
        return getattr(owner, name if hasattr(owner, name) else OLDER[name])(*arguments)

    def refused(self, status: int, method: str, *arguments: Any) -> None:
        """Check that a call is refused."""
        try:
            self.call(method, *arguments)
        except HttpError as error:
            found: int | None = error.status_code
        else:
            found = None
        assert status == found, method

    def event_types(self) -> None:
        made = self.call(
            "event_type.create", m.EventTypeIn(name="user.signup", description="d", feature_flags=["beta"])
        )
        assert ("user.signup", ["beta"], False) == (made.name, made.feature_flags, made.archived)
        schemas = {"1": {"type": "object"}}
        put = self.call("event_type.upsert", "user.signup", EVENT_TYPE(description="e", schemas=schemas))
        assert (schemas, None, made.created_at) == (put.schemas, put.feature_flags, put.created_at)
        self.call("event_type.upsert", "user.login", EVENT_TYPE(description="l"))
        patched = self.call("event_type.patch", "user.signup", m.EventTypePatch(group_name="user", deprecated=True))
        assert ("user", True, "e") == (patched.group_name, patched.deprecated, patched.description)
        assert schemas == self.call("event_type.get", "user.signup").schemas
        self.call("event_type.delete", "user.login")
        names = [each.name for each in self.call("event_type.list").data]
        archived = self.call("event_type.list", EventTypeListOptions(include_archived=True, with_content=True)).data
        assert (["user.signup"], ["user.login", "user.signup"]) == (names, [each.name for each in archived])
        self.call("event_type.delete", "user.login", EventTypeDeleteOptions(expunge=True))
        self.refused(404, "event_type.get", "user.login")

    def imports(self) -> None:
        webhooks = {"pet.new": {"post": {"description": "A pet."}}}
        spec = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "webhooks": webhooks}
        dry: Any = m.EventTypeImportOpenApiIn(spec=spec, dry_run=True)
        planned = self.call("event_type.import_openapi", dry).data
        assert ["pet.new"] == planned.modified
        assert [("pet.new", "A pet.", False)] == [
            (each.name, each.description, each.deprecated) for each in planned.to_modify or ()
        ]
        raw: Any = m.EventTypeImportOpenApiIn(spec_raw=json.dumps(spec), replace_all=True)
        done = self.call("event_type.import_openapi", raw).data
        assert "pet.new" in done.modified
        assert not done.to_modify
        assert ["pet.new"] == [each.name for each in self.call("event_type.list").data]
        self.refused(400, "event_type.import_openapi", m.EventTypeImportOpenApiIn())

    def integrations(self, app_id: str) -> None:
        flagged: Any = m.IntegrationIn(name="Zapier", feature_flags=["beta"])
        made = self.call("integration.create", app_id, flagged)
        assert ("Zapier", ["beta"]) == (made.name, made.feature_flags)
        assert made == self.call("integration.get", app_id, made.id)
        keys = [self.call("integration.rotate_key", app_id, made.id).key for _ in range(2)]
        put = self.call("integration.upsert", app_id, made.id, m.IntegrationUpdate(name="Make"))
        assert (made.id, "Make", None) == (put.id, put.name, put.feature_flags)
        assert [put] == self.call("integration.list", app_id).data
        own = self.client_of(keys[1])
        assert app_id == own.application.get(app_id).id
        self.call("integration.delete", app_id, made.id)
        self.refused(404, "integration.get", app_id, made.id)
        for key in keys:
            self.client = self.client_of(key)
            self.refused(401, "application.get", app_id)
        self.client = self.client_of(self.given["token"])

    def applications(self) -> str:
        made = self.call("application.create", m.ApplicationIn(name="One", uid="one", metadata={"k": "v"}))
        assert made.id == self.call("application.get_or_create", m.ApplicationIn(name="Two", uid="one")).id
        put = self.call("application.upsert", "one", m.ApplicationIn(name="Two", uid="one", throttle_rate=9))
        assert (made.id, "Two", {}, 9) == (put.id, put.name, put.metadata, put.throttle_rate)
        patched = self.call("application.patch", made.id, m.ApplicationPatch(throttle_rate=None, metadata={"a": "b"}))
        assert ("one", None, {"a": "b"}) == (patched.uid, patched.throttle_rate, patched.metadata)
        other = self.call("application.upsert", "unknown", m.ApplicationIn(name="Other"))
        listed = self.call("application.list", ApplicationListOptions(limit=1, order=m.Ordering.ASCENDING))
        assert ([made.id], False) == ([each.id for each in listed.data], listed.done)
        self.call("application.delete", other.id)
        self.refused(404, "application.get", other.id)
        return str(made.id)

    def endpoints(self, app_id: str) -> None:
        wanted = m.EndpointIn(url=URL, uid="ep", channels=["a"], headers={"X-Mine": "1"}, secret="whsec_" + "e" * 32)
        made = self.call("endpoint.create", app_id, wanted)
        path = (app_id, made.id)
        assert ["ep"] == [each.uid for each in self.call("endpoint.list", app_id, EndpointListOptions(limit=5)).data]
        put = self.call(
            "endpoint.upsert", *path, ENDPOINT(url=URL, uid="ep", channels=["b"], **{TYPES: ["user.signup"]})
        )
        assert (["b"], ["user.signup"]) == (put.channels, getattr(put, TYPES))
        patched = self.call("endpoint.patch", *path, patch_of(description="d", **{TYPES: None}))
        assert (None, ["b"], "d") == (getattr(patched, TYPES), patched.channels, patched.description)
        assert patched.updated_at == self.call("endpoint.get", app_id, "ep").updated_at
        self.signing(path)
        self.headers(path)
        self.transformation(path)
        since = datetime.now(UTC) - timedelta(days=1)
        stats = self.call("endpoint.get_stats", *path, EndpointGetStatsOptions(since=since))
        assert [0] * 5 == [stats.success, stats.pending, stats.sending, stats.fail, stats.canceled]
        if hasattr(self.client.endpoint, "get_attempt_stats"):
            hours = self.call("endpoint.get_attempt_stats", *path)
            assert (0, 0, 0) == (hours.success, hours.fail, hours.canceled)
        self.call("endpoint.delete", *path)
        self.refused(404, "endpoint.get", *path)

    def signing(self, path: tuple[str, str]) -> None:
        assert "whsec_" + "e" * 32 == self.call("endpoint.get_secret", *path).key
        key = "whsec_" + "f" * 32
        told = self.call("endpoint.rotate_secret", *path, m.EndpointSecretRotateIn(key=key, grace_period_seconds=60))
        assert (None if told is None else told.key) in (None, key)
        self.call("endpoint.rotate_secret", *path, m.EndpointSecretRotateIn())
        assert key != self.call("endpoint.get_secret", *path).key

    def headers(self, path: tuple[str, str]) -> None:
        self.call(
            "endpoint.patch_headers", *path, m.EndpointHeadersPatchIn(headers={"x-new": "2", "authorization": "s"})
        )
        found = self.call("endpoint.get_headers", *path)
        assert ({"X-Mine": "1", "x-new": "2"}, ["authorization"]) == (found.headers, list(found.sensitive))
        self.call("endpoint.set_headers", *path, m.EndpointHeadersIn(headers={"x-one": "1", "x-two": "2"}))
        self.call("endpoint.patch_headers", *path, m.EndpointHeadersPatchIn(headers={}, delete_headers=["x-one"]))
        assert {"x-two": "2"} == self.call("endpoint.get_headers", *path).headers

    def transformation(self, path: tuple[str, str]) -> None:
        wanted = m.EndpointTransformationPatch(code=SCRIPT, enabled=False)
        scripts: Any = getattr(self.client.endpoint, "transformation", None)
        if scripts is None:
            self.call("endpoint.patch_transformation", *path, wanted)
            found = self.call("endpoint.transformation_get", *path)
        else:  # the newer generation has a resource of its own
            self.called.add("endpoint.transformation")
            scripts.patch(*path, wanted)
            found = scripts.get(*path)
        assert (SCRIPT, False) == (found.code, found.enabled)
        older = m.EndpointTransformationIn(code=f"{SCRIPT} // 2", enabled=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # programs that still call it are served
            self.call("endpoint.transformation_partial_update", *path, older)

    def portal(self, app_id: str) -> None:
        wanted = m.AppPortalAccessIn(
            feature_flags=["beta"], expiry=3600, capabilities=[m.AppPortalCapability.VIEW_BASE], session_id="user"
        )
        given = [self.call("authentication.app_portal_access", app_id, wanted) for _ in range(3)]
        assert given[0].url.startswith(self.given["url"])
        if hasattr(self.client.authentication, "dashboard_access"):
            assert self.call("authentication.dashboard_access", app_id).url.startswith(self.given["url"])
        organization, self.client = self.client, self.client_of(given[0].token)
        assert "one" == self.call("application.get", app_id).uid
        self.refused(403, "endpoint.create", app_id, m.EndpointIn(url=URL))
        self.refused(403, "application.list")
        self.call("authentication.logout")
        self.refused(401, "application.get", app_id)
        for token, end in ((given[1].token, {"session_ids": ["user"]}), (given[2].token, {})):
            self.client = organization
            self.call("authentication.expire_all", app_id, expire(**end))
            self.client = self.client_of(token)
            self.refused(401, "application.get", app_id)
        self.client = organization


if __name__ == "__main__":
    json.dump(Everyday(json.load(sys.stdin)).run(), sys.stdout)
