# SPDX-License-Identifier: MIT
"""The log of failing endpoints: at most one line per endpoint and minute, bounded in memory and in lines.

The first failure after a quiet minute starts a timer of one second, so that an operator sees it soon. Later lines
follow a minute apart. The endpoints with the most failures get lines; one more line has the number of the others.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from tidings.delivery.outcome import SendResult
from tidings.delivery.tuning import DeliveryTuning
from tidings.logs import log
from tidings.model.routing import Receiver
from tidings.model.url import host_of

_NO_RESPONSE: Final = 0


@dataclass(slots=True)
class _Failing:
    """The failed attempts of one endpoint since its last line."""

    receiver: Receiver
    attempts: int = 0
    status: int = 0


class FailureSummary:
    """Counts failed attempts by endpoint, and logs them once a minute."""

    def __init__(self, tuning: DeliveryTuning = DeliveryTuning()) -> None:
        self._tuning = tuning
        self._failing: dict[str, _Failing] = {}
        self._uncounted = 0
        """Failed attempts of endpoints beyond those that are held in memory."""
        self._timer: asyncio.TimerHandle | None = None
        self._logged_at = float("-inf")

    def add(self, results: Iterable[SendResult]) -> None:
        """Count the failed attempts among results."""
        for result in results:
            if result.delivered or result.attempt is None:
                continue
            receiver = result.delivery.receiver
            found = self._failing.get(receiver.id)
            if found is None:
                if len(self._failing) >= self._tuning.summary_endpoints:
                    self._uncounted += 1
                    continue
                found = self._failing[receiver.id] = _Failing(receiver)
            found.attempts += 1
            found.status = result.attempt.response_status_code
        if self._failing and self._timer is None:
            self._schedule()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        at = max(loop.time() + self._tuning.summary_first_seconds, self._logged_at + self._tuning.summary_seconds)
        self._timer = loop.call_at(at, self.flush)

    def flush(self) -> None:
        """Log the counted failures now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        failing, self._failing = self._failing, {}
        uncounted, self._uncounted = self._uncounted, 0
        if not failing:
            return
        self._logged_at = asyncio.get_running_loop().time()
        listed = nlargest(self._tuning.summary_lines, failing.values(), key=lambda each: each.attempts)
        for each in listed:
            _log(each)
        others = len(failing) - len(listed)
        if others or uncounted:
            attempts = sum(each.attempts for each in failing.values()) - sum(each.attempts for each in listed)
            log.info(
                "endpoints.failing",
                "attempts of further endpoints failed",
                endpoints=others if not uncounted else f"{others} or more",
                attempts=attempts + uncounted,
            )


def _log(failing: _Failing) -> None:
    receiver = failing.receiver
    log.info(
        "endpoint.failing",
        "attempts failed",
        org=receiver.org_id,
        app=receiver.app_id,
        endpoint=receiver.id,
        host=host_of(receiver.url),
        status=failing.status if failing.status != _NO_RESPONSE else "no response",
        attempts=failing.attempts,
    )
