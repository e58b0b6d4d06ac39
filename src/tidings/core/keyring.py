# SPDX-License-Identifier: MIT
"""The keyring of a process: the API keys in use, so that a request with one costs a lookup in memory.

A key that is not on the keyring is looked up in the database. A change of a key, such as its revocation, arrives with
the heartbeat query (`hear`), or at once if this process made it. An entry is trusted for two seconds after the last
heartbeat query, or after it was read: a node that cannot learn of revocations asks the database each time.
"""

from collections.abc import Callable, Mapping
from typing import Final

from tidings.clock import SECOND, Clock
from tidings.core.tuning import CoreTuning
from tidings.errors import unauthorized
from tidings.model import api_key
from tidings.model.api_key import ApiKey
from tidings.model.token import Grant, Principal
from tidings.storage.drivers.database import Database, StorageError, retried
from tidings.storage.tables import api_keys

_ALWAYS: Final = float("inf")
_LATELY_MS: Final = 30 * SECOND
"""Transactions that began before a heartbeat query may commit after it, so each looks back further than the last."""


def _no_listener() -> None:
    """Do nothing: no stream is open."""


class _HeldKey:
    """A key on the keyring."""

    __slots__ = ("checked_at", "grant", "id", "used_at", "version")

    def __init__(self, key: ApiKey, checked_at: float) -> None:
        self.id = key.id
        self.version = key.version
        self.grant = Grant(key.principal, since=0, until=key.principal.until)
        self.checked_at = checked_at
        """When the key was read, on the monotonic clock."""
        self.used_at = 0
        """The last use that is not recorded yet, 0 for none."""


class Keyring:
    """The API keys that this process has verified."""

    def __init__(self, db: Database, clock: Clock, tuning: CoreTuning = CoreTuning()) -> None:
        self._db = db
        self._clock = clock
        self._tuning = tuning
        self._held: dict[bytes, _HeldKey] = {}
        self._uses: dict[str, int] = {}
        self._changes = 0
        self._heard: tuple[Mapping[str, int], str | None] = ({}, None)
        self._heard_at = _ALWAYS if db.has_one_writer else float("-inf")
        self._heard_to: int | None = None
        self.on_change: Callable[[], None] = _no_listener
        """Called when keys have changed, so that streams check their access."""

    def cached(self, header: bytes) -> Grant | None:
        """Return the grant of an authorization header if its key is on the keyring and certainly valid; note the use.

        The message path calls this.
        """
        held = self._held.get(header)
        if held is None or self._is_stale(held):
            return None
        now = self._clock.now()
        if now > held.grant.until:
            return None
        held.used_at = now
        return held.grant

    async def look_up(self, header: bytes, text: str) -> Grant:
        """Return the grant of a key, from the database; raise `unauthorized` with the reason if it is not valid."""
        checked_at, changes = self._clock.monotonic(), self._changes
        async with self._db.read() as read:
            key = await api_keys.find(read, api_key.hash_of(text))
        held = _HeldKey(_valid(key, self._clock.now()), checked_at)
        held.used_at = self._clock.now()
        if changes == self._changes:  # else the row may be older than the change
            self._hold(header, held)
        else:
            self._note_use(held)
        return held.grant

    async def is_live(self, principal: Principal) -> bool:
        """Return whether the caller's key is neither ended nor changed since; True if the database cannot be read."""
        if principal.key is None:
            return True
        try:
            async with self._db.read() as read:
                key = await api_keys.get(read, principal.key.id)
        except StorageError:  # streams check again soon
            return True
        return key is not None and key.version == principal.key.version and not key.has_ended(self._clock.now())

    async def require_live(self, principal: Principal) -> None:
        """Raise `unauthorized` if the caller's key has ended or changed since."""
        if principal.key is None:
            return
        async with self._db.read() as read:
            key = await api_keys.get(read, principal.key.id)
        if key is None or key.version != principal.key.version or key.has_ended(self._clock.now()):
            raise unauthorized("The API key has ended or changed.")

    @property
    def heard_since(self) -> int:
        """From when on the next heartbeat query has to report changes, on the clock of the database."""
        return (self._clock.now() if self._heard_to is None else self._heard_to) - _LATELY_MS

    def hear(self, changed: Mapping[str, int], deleted: str | None = None, *, asked_at: float, now: int) -> None:
        """Drop the keys that changed: current versions by id, from a heartbeat query.

        `deleted` differs after each deletion of keys, which leaves no row to report: then all keys are dropped. The
        query began at `asked_at` on the monotonic clock; `now` is its timestamp, on the clock of the database.
        """
        self._heard_at, self._heard_to = asked_at, now
        if (changed, deleted) == self._heard:
            return
        is_deletion = deleted != self._heard[1]
        self._heard = (changed, deleted)
        self._drop(lambda held: is_deletion or held.version < changed.get(held.id, 0))
        self.on_change()

    def drop(self, key_id: str) -> None:
        """Drop a key that this process has changed."""
        self._drop(lambda held: held.id == key_id)
        self.on_change()

    async def record_uses(self) -> None:
        """Write the last uses of keys since the last call."""
        for held in self._held.values():
            self._note_use(held)
        uses, self._uses = self._uses, {}
        if not uses:
            return

        async def work() -> None:
            async with self._db.write(background=True) as tx:
                await api_keys.note_uses(tx, uses.items())

        await retried(work)

    def _is_stale(self, held: _HeldKey) -> bool:
        trusted_from = max(self._heard_at, held.checked_at)
        return self._clock.monotonic() - trusted_from > self._tuning.key_trusted_seconds

    def _hold(self, header: bytes, held: _HeldKey) -> None:
        while len(self._held) >= self._tuning.keys_cached:
            self._note_use(self._held.pop(next(iter(self._held))))
        self._held[header] = held

    def _drop(self, has_changed: Callable[[_HeldKey], bool]) -> None:
        self._changes += 1
        for header in [header for header, held in self._held.items() if has_changed(held)]:
            self._note_use(self._held.pop(header))

    def _note_use(self, held: _HeldKey) -> None:
        if held.used_at:
            self._uses[held.id] = max(self._uses.get(held.id, 0), held.used_at)
            held.used_at = 0


def _valid(key: ApiKey | None, now: int) -> ApiKey:
    """Return a key; raise `unauthorized` with the reason if it is not valid."""
    if key is None:
        raise unauthorized("The API key does not exist.")
    if key.has_ended(now):
        was_revoked = key.revoked_at is not None
        raise unauthorized("The API key was revoked." if was_revoked else "The API key has expired.")
    return key
