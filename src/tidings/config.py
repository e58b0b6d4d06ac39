# SPDX-License-Identifier: MIT
"""Reads settings: from the environment (`TIDINGS_*`, then svix-server's `SVIX_*`), a TOML file, or the defaults.

Lists also accept the syntax of svix-server, without quotes: `[1,2]`, `[127.0.0.1/32, 10.0.0.0/8]`, and plain `1,2`.
"""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints

from tidings import values
from tidings.settings import ConfigError, Settings

_OWN: Final = "TIDINGS_"
_SVIX: Final = "SVIX_"
_ALIASES: Final = {"log_level": {"trace": "debug", "warn": "warning"}, "log_format": {"default": "text"}}
_DATABASE_URL: Final = "DATABASE_URL"
_NOT_SETTINGS: Final = ("url", "token", "server_url", "test_pg")
"""Variables with our prefixes that clients and tests read."""
_NO_BROKER: Final = "tidings has no queue outside the database."
_NO_CACHE: Final = "tidings has no cache outside the process."
FOREIGN: Final[Mapping[str, str]] = {
    **dict.fromkeys(("queue_type", "queue_dsn", "queue_prefix", "queue_max_poll_secs"), _NO_BROKER),
    **dict.fromkeys(("rabbit_dsn", "rabbit_consumer_prefetch_size", "redis_pending_duration_secs"), _NO_BROKER),
    **dict.fromkeys(("cache_type", "cache_dsn", "sentinel_service_name"), _NO_CACHE),
    **dict.fromkeys(("redis_dsn", "redis_pool_max_size", "redis_tls_mode_secure"), _NO_BROKER),
    **dict.fromkeys(("redis_db", "redis_username", "redis_password", "redis_use_resp3"), _NO_BROKER),
    "worker_max_tasks": "Sends are bounded for each endpoint (`delivery_concurrency`) and by `delivery_memory`.",
    "background_migrations_enabled": "All migrations run before the service starts.",
    "db_tracing": "Traces have no spans of database queries.",
    "sentry_dsn": "Errors are in the log, and traces are exported with OpenTelemetry only.",
    "region": "Has no effect in svix-server either.",
}
"""Settings of svix-server that have no effect here, with the reason. They are accepted and ignored."""


def load(environment: Mapping[str, str] | None = None, *, file: Path | None = None, **flags: object) -> Settings:
    """Return the settings of this process.

    `flags` come from the command line and take precedence, unless they are None. Raises `ConfigError`.
    """
    types = get_type_hints(Settings)
    found = _found(os.environ if environment is None else environment, file, flags)
    given: dict[str, Any] = {}
    for name, (value, _) in found.items():
        try:
            given[name] = values.parsed(value, types[name])
        except ValueError as error:
            raise ConfigError(f"{name} {error}") from None
        given[name] = _ALIASES.get(name, {}).get(given[name], given[name])
    return Settings(**given)


def origins(
    environment: Mapping[str, str] | None = None, *, file: Path | None = None, **flags: object
) -> dict[str, str]:
    """Return the source of each setting: a flag, a variable, a file or the default."""
    found = _found(os.environ if environment is None else environment, file, flags)
    return {each.name: found.get(each.name, ("", "default"))[1] for each in dataclasses.fields(Settings)}


def wants_json(environment: Mapping[str, str] | None = None, *, file: Path | None = None) -> bool:
    """Return whether the log is to be JSON, before the settings are checked: an error in them has that form, too."""
    environment = os.environ if environment is None else environment
    try:
        found = _found(environment, file, {})
    except ConfigError:  # the file cannot be read
        found = _found(environment, Path(os.devnull), {})
    style, _ = found.get("log_format", (values.AUTO, ""))
    return style == "json" or (style == values.AUTO and found.get("environment", ("", ""))[0] == "prod")


def without_effect(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables that look like settings but have no effect, with the reason."""
    environment = os.environ if environment is None else environment
    known = {each.name: each.metadata["own"] for each in dataclasses.fields(Settings)}
    found = {}
    for variable in sorted(environment):
        name = variable.removeprefix(_OWN).removeprefix(_SVIX).lower()
        if name in _NOT_SETTINGS:
            continue
        if variable.startswith(_SVIX) and known.get(name, True):
            found[variable] = FOREIGN.get(name, "No setting has this name.")
        elif variable.startswith(_OWN) and name not in known:
            found[variable] = "No setting has this name."
    return found


def _found(
    environment: Mapping[str, str], file: Path | None, flags: Mapping[str, object]
) -> dict[str, tuple[object, str]]:
    """Return the value of each setting that is set, and its source. The first source with a value wins."""
    path = Path("tidings.toml") if file is None else file
    stored = _from_file(path, required=file is not None)
    found: dict[str, tuple[object, str]] = {}
    for each in dataclasses.fields(Settings):
        prefixes = (_OWN,) if each.metadata["own"] else (_OWN, _SVIX)
        variables = [prefix + each.name.upper() for prefix in prefixes]
        places = [
            ("a flag", flags.get(each.name)),
            *((variable, environment.get(variable)) for variable in variables),
            (str(path), stored.get(each.name)),
            (_DATABASE_URL, environment.get(_DATABASE_URL) if each.name == "db_dsn" else None),
        ]
        given = next(((value, place) for place, value in places if value is not None), None)
        if given is not None:
            found[each.name] = given
    return found


def foreign(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without settings, for a child process whose settings come from a file."""
    environment = os.environ if environment is None else environment
    return {name: value for name, value in environment.items() if not name.startswith((_OWN, _SVIX))}


def has_colors(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether the environment permits colors on a terminal (no-color.org)."""
    environment = os.environ if environment is None else environment
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def bypass_proxies(host: str) -> None:
    """Make HTTP clients in this process bypass the proxies of the environment for a host."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), host)))


def _from_file(path: Path, *, required: bool) -> dict[str, Any]:
    if not required and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {path}: it is not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: a number has too many digits") from error
