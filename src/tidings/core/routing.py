# SPDX-License-Identifier: MIT
"""The routing cache: the compiled endpoints and filters of applications, in this process.

A cached entry may be outdated. No message is accepted with outdated routing, because accept compares the version inside
its transaction. An application that does not exist is not cached.
"""

from typing import Final

from tidings.ids import OrgId
from tidings.model.encryption import NO_ENCRYPTION, Encryption
from tidings.model.routing import Receiver, Routing
from tidings.storage.drivers.database import Database, Read
from tidings.storage.tables import routing as store

_ENTRIES_MAX: Final = 20_000


class RoutingCache:
    """The compiled routing of applications, by the reference in the request and by application id."""

    __slots__ = ("_by_id", "_by_ref", "_db", "_refs", "encryption")

    def __init__(self, db: Database, encryption: Encryption = NO_ENCRYPTION) -> None:
        self._db = db
        self.encryption = encryption
        self._by_ref: dict[tuple[str, str], Routing] = {}
        self._by_id: dict[str, Routing] = {}
        self._refs: dict[str, set[tuple[str, str]]] = {}

    def known(self, org_id: str, ref: str) -> Routing | None:
        """Return the cached routing of an application, or None."""
        return self._by_ref.get((org_id, ref))

    async def load(self, org_id: OrgId, ref: str, read: Read | None = None) -> Routing | None:
        """Compile and cache the routing of an application, inside a transaction if one is given."""
        if read is None:
            async with self._db.read() as own:
                return await self.load(org_id, ref, own)
        found = await store.find(read, org_id, ref, self.encryption)
        if found is not None:
            self._keep((org_id, ref), found)
        return found

    async def by_id(self, app_id: str, read: Read) -> Routing | None:
        """Return the routing of an application by its id; compile it if it is not cached."""
        found = self._by_id.get(app_id)
        if found is None:
            found = await store.find_by_id(read, app_id, self.encryption)
            if found is not None:
                self._keep((found.org_id, app_id), found)
        return found

    async def receiver(self, endpoint_id: str, app_id: str, read: Read) -> Receiver | None:
        """Return an enabled endpoint, or None; None is never based on the cache alone."""
        known = self._by_id.get(app_id)
        found = None if known is None else known.find(endpoint_id)
        if found is None or found.disabled:
            self.drop(app_id)
            fresh = await self.by_id(app_id, read)
            found = None if fresh is None else fresh.find(endpoint_id)
        return None if found is None or found.disabled else found

    def drop(self, app_id: str) -> None:
        """Remove an application from the cache."""
        self._by_id.pop(app_id, None)
        for key in self._refs.pop(app_id, ()):
            self._by_ref.pop(key, None)

    def drop_older(self, app_id: str, version: int) -> None:
        """Remove an application from the cache if it was compiled from an older version than this."""
        known = self._by_id.get(app_id)
        if known is not None and known.version < version:
            self.drop(app_id)

    def _keep(self, key: tuple[str, str], routing: Routing) -> None:
        if len(self._by_ref) >= _ENTRIES_MAX:
            for cache in (self._by_ref, self._by_id, self._refs):
                cache.clear()
        stale = self._by_id.get(routing.app_id)
        if stale is not None and stale.version != routing.version:
            self.drop(routing.app_id)
        self._by_ref[key] = routing
        self._by_id[routing.app_id] = routing
        self._refs.setdefault(routing.app_id, set()).add(key)
