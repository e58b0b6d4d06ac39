# SPDX-License-Identifier: MIT
"""Conversion of the settings into the options of each part of a process."""

import dataclasses
from typing import Final

from tidings import failpoint, values
from tidings.api.connection import WIRE_BYTES, ConnectionLimits
from tidings.clock import HOUR, SECOND
from tidings.delivery.address import AddressPolicy
from tidings.delivery.proxy import Proxy
from tidings.delivery.role import DeliveryOptions
from tidings.sandbox.pool import SandboxOptions
from tidings.sandbox.process import Limits
from tidings.settings import ConfigError, Settings
from tidings.tasks.runner import RunnerLimits

_POOL_LEAST: Final = 3
"""The connections that a worker needs: to accept, to settle, and for the API and the tasks."""
_SHARED: Final = (
    "delivery_concurrency",
    "delivery_in_flight",
    "delivery_memory",
    "max_connections",
    "request_rate_limit",
    "tasks_per_process",
    "transformation_processes",
)
"""The settings that bound all workers of one `serve` together, and are divided by their number."""


def of_worker(settings: Settings, count: int) -> Settings:
    """Return the settings of one of `count` workers: what bounds a whole `serve` is divided, and never becomes 0."""
    shares = {name: -(-getattr(settings, name) // count) for name in _SHARED}
    return dataclasses.replace(
        settings,
        **shares,
        db_pool_max_size=max(_POOL_LEAST, settings.db_pool_max_size // count),
        delivery_memory_bytes=max(1 << 20, settings.delivery_memory_bytes // count),
        request_memory=max(2 * settings.max_body_bytes, settings.request_memory // count),
    )


def bounds(settings: Settings) -> ConnectionLimits:
    """Return the limits on connections and request memory of one process."""
    two_bodies = 2 * settings.max_body_bytes
    return ConnectionLimits(
        settings.max_connections, max(settings.request_memory, two_bodies), max(WIRE_BYTES, two_bodies)
    )


def delivery(settings: Settings) -> DeliveryOptions:
    """Return the options of delivery."""
    return DeliveryOptions(
        policy=AddressPolicy(settings.whitelist_subnets),
        schedule=settings.retry_schedule,
        timeout=settings.worker_request_timeout,
        lease_grace=settings.lease_grace,
        concurrency=settings.delivery_concurrency,
        memory=settings.delivery_memory,
        memory_bytes=settings.delivery_memory_bytes,
        in_flight=settings.delivery_in_flight,
        disable_after_ms=settings.endpoint_failure_disable_after * HOUR,
        proxy=proxy(settings),
        verify_tls=not settings.dangerous_disable_tls_verification,
        whitelabel=settings.whitelabel_headers,
        gone_disables=settings.endpoint_disable_on_gone,
        attempt_headers=settings.attempt_headers,
        mails=bool(settings.notify_email),
    )


def sandbox(settings: Settings) -> SandboxOptions:
    """Return the options of the processes that run scripts."""
    limits = Limits(settings.transformation_timeout / SECOND, settings.transformation_memory)
    return SandboxOptions(limits, settings.transformation_processes, https_only=settings.endpoint_https_only)


def proxy(settings: Settings) -> Proxy | None:
    """Return the proxy of outgoing requests, or None."""
    if not settings.proxy_addr:
        return None
    return Proxy.of(settings.proxy_addr, settings.noproxy, resolves_names=settings.proxy_resolves_names)


def tasks(settings: Settings) -> RunnerLimits:
    """Return the limits of task work."""
    return RunnerLimits(
        slots=settings.tasks_per_process,
        per_tenant=settings.tasks_per_tenant,
        lease_seconds=settings.task_lease,
        slice_seconds=settings.task_slice,
        chunk_rows=settings.task_chunk,
        backlog=settings.replay_backlog,
    )


def message_retention(settings: Settings) -> int | None:
    """Return the age in milliseconds at which messages are deleted; None if they are kept."""
    seconds = None if settings.message_retention is None else values.seconds(settings.message_retention)
    return None if seconds is None else seconds * SECOND


def arm_failpoints(failpoints: str) -> None:
    """Arm the failpoints of a test. Raises `ConfigError` if the text is invalid."""
    try:
        failpoint.arm(failpoints)
    except ValueError as error:
        raise ConfigError("failpoints must be name=action pairs; see failpoint.py") from error
