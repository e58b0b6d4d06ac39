# SPDX-License-Identifier: MIT
"""Runs of failures: how many attempts at each endpoint failed in a row, counted in this process.

The count only decides when to look: the attempts in the database, which all nodes write, decide whether an endpoint is
failing. So a count that is lost with the process, or split between nodes, delays the look by a few failures. An
endpoint without a failed attempt has no entry and costs nothing.
"""

from collections.abc import Iterable
from typing import Final

from tidings.clock import SECOND
from tidings.model.health import FAILING_IN_A_ROW
from tidings.model.routing import Receiver

_LOOK_EVERY: Final = 3
"""The failures in a row after which the attempts are read, for a run that other nodes may see parts of."""
_PAUSE_MS: Final = 10 * SECOND
_ENTRIES_MAX: Final = 10_000


class FailureRuns:
    """Counts failed attempts in a row, by endpoint."""

    __slots__ = ("_looked_at", "_runs")

    def __init__(self) -> None:
        self._runs: dict[str, int] = {}
        self._looked_at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def end(self, endpoint_id: str) -> None:
        """End the run of an endpoint: an attempt succeeded."""
        if self._runs.pop(endpoint_id, None) is not None:
            self._looked_at.pop(endpoint_id, None)

    def count(self, ended: Iterable[tuple[Receiver, bool]], now: int) -> list[Receiver]:
        """Count attempts, each with whether it succeeded; return the endpoints whose attempts have to be read now."""
        before: dict[str, int] = {}
        failed: dict[str, Receiver] = {}
        for receiver, is_success in ended:
            if is_success:
                self.end(receiver.id)
                before[receiver.id] = 0
            else:
                run = self._runs.get(receiver.id, 0)
                before.setdefault(receiver.id, run)
                self._runs[receiver.id] = run + 1
                failed[receiver.id] = receiver
        found = [receiver for each, receiver in failed.items() if self._is_due(each, before[each], now)]
        if len(self._runs) > _ENTRIES_MAX:
            self._runs.clear()
            self._looked_at.clear()
        return found

    def looked(self, endpoint_ids: Iterable[str], now: int) -> None:
        """Note that the attempts at endpoints were read, in a transaction that was committed."""
        self._looked_at.update((each, now) for each in endpoint_ids if each in self._runs)

    def _is_due(self, endpoint_id: str, before: int, now: int) -> bool:
        """Return whether a run may have become `FAILING_IN_A_ROW` long with the failures since `before`."""
        run = self._runs.get(endpoint_id, 0)
        if before < FAILING_IN_A_ROW:
            return run >= FAILING_IN_A_ROW or run // _LOOK_EVERY > before // _LOOK_EVERY
        return not 0 <= now - self._looked_at.get(endpoint_id, 0) < _PAUSE_MS
