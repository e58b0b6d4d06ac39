# SPDX-License-Identifier: MIT
"""`tidings serve` in one process, from its settings to its end."""

import socket
from collections.abc import Callable
from functools import partial

from tidings import terms
from tidings.api.connection import allow_open_files
from tidings.clock import SystemClock
from tidings.core.access import token_secrets
from tidings.core.signer import Signer, WrongKey
from tidings.logs import identity, log
from tidings.model.encryption import DecryptionError
from tidings.model.lease import new_node
from tidings.process.listening import bind, bind_metrics
from tidings.process.stopping import Stop
from tidings.process.worker import Channel, Worker
from tidings.server.database import open_database, require_connections
from tidings.server.extension import Extension
from tidings.server.node import Node, Reporter, Roles, node_name
from tidings.settings import ConfigError, Settings
from tidings.spans import SpanRecorder, spans
from tidings.storage.drivers.database import Unavailable


def _check_key(settings: Settings) -> None:
    """Raise `ConfigError` if a secret does not fit `jwt_algorithm`, before the database is opened and migrated."""
    for name in ("jwt_secret", "jwt_secret_previous"):
        secret = getattr(settings, name)
        try:
            if secret:
                Signer(secret, settings.jwt_algorithm)
        except WrongKey as error:
            raise ConfigError(str(error).replace("jwt_secret", name)) from error


async def serve(
    settings: Settings,
    roles: Roles | None = None,
    *,
    migrate: bool | None = None,
    worker: Worker | None = None,
    extension: Extension | None = None,
) -> None:
    """Run one process until SIGTERM or SIGINT; as `worker`, until its supervisor stops it.

    Raises `ConfigError`, also if the port is in use, and the errors of `open_database`.
    """
    roles = roles or Roles()
    number = new_node()
    identity.node = node_name(number)
    if worker is None or worker.index == 0:
        for weak in settings.weak_secrets():
            log.warning("secret.weak", weak)
    terms.arm_failpoints(settings.failpoints)
    _check_key(settings)
    spans.recorder = _span_recorder(settings)
    allow_open_files(settings.max_connections)
    stop = Stop(settings.shutdown_grace)
    stop.listen()
    channel = None if worker is None else Channel(worker, stop.request)
    listener = _listener(settings, roles, worker)
    metrics = bind_metrics(settings) if worker is None else None
    try:
        db = await open_database(settings, migrate=migrate)
        try:
            await require_connections(db, settings, worker)
            secrets = await token_secrets(db, settings.jwt_secret, settings.jwt_secret_previous or None)
            node = Node(settings, roles, db, secrets, number, extension)
            await node.prepare()
            if extension is not None:
                await extension.prepare()
            node.reporter = _reporter(settings, node, metrics, channel)
            await node.run(stop, listener, on_ready=_on_ready(stop, channel, extension))
        except (DecryptionError, WrongKey) as error:
            raise ConfigError(str(error)) from error
        finally:
            await db.close()
    except Unavailable:
        if channel is not None:
            channel.unavailable()
        raise
    finally:
        spans.recorder = None
        _close(listener, metrics)


def _on_ready(stop: Stop, channel: Channel | None, extension: Extension | None) -> Callable[[], None] | None:
    """Return what to call once the node responds."""
    if channel is not None:
        return channel.ready
    return None if extension is None else partial(extension.started, stop)


def _close(*listeners: socket.socket | None) -> None:
    for each in listeners:
        if each is not None:
            each.close()


def _reporter(
    settings: Settings, node: Node, listener: socket.socket | None, channel: Channel | None
) -> Reporter | None:
    """Return what reports the metrics: a single process on its listener, a worker to its supervisor."""
    if settings.metrics_address is None:
        return None
    from tidings.server.metrics import MetricsReporter  # noqa: PLC0415 - only if metrics are on

    return MetricsReporter(node, listener=listener, channel=channel)


def _span_recorder(settings: Settings) -> SpanRecorder | None:
    """Return the recorder of spans if the settings ask for one; raise `ConfigError` if its packages are missing."""
    if not settings.opentelemetry_address:
        return None
    try:
        from tidings.server.tracing import recorder_of  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise ConfigError("opentelemetry_address needs the extra otel: pip install 'tidings[otel]'") from error
    return recorder_of(settings, SystemClock())


def _listener(settings: Settings, roles: Roles, worker: Worker | None) -> socket.socket | None:
    if not roles.api:
        return None
    return bind(settings) if worker is None else worker.socket()
