# SPDX-License-Identifier: MIT
"""Checks of a PostgreSQL server and of the database of tidings on it."""

from collections.abc import Sequence
from typing import Final

from tidings.clock import MINUTE, SECOND, Clock
from tidings.model.diagnosis import CheckResult, failed, ok, warning
from tidings.storage.drivers.database import Read
from tidings.storage.drivers.migrations import Migration, known_migrations, schema_difference
from tidings.storage.drivers.partitions import WEEK, week_names
from tidings.storage.drivers.server_settings import RECOMMENDED, Bound, ServerSetting, unmet_settings

_VERSION_LEAST: Final = 13
_SKEW_MS: Final = 2 * SECOND
_SKEW_MAX_MS: Final = 15 * MINUTE
"""Tokens are refused if the clock of their issuer differs by more."""
_SERVER: Final = (
    "SELECT current_setting('server_version') AS version, CAST(current_setting('server_version_num') AS INTEGER) AS"
    " number, pg_is_in_recovery() AS is_standby, current_schema() AS schema,"
    " CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now,"
    " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,"
    " current_setting('transaction_read_only') = 'on' AS is_read_only, current_user AS role"
)
# A table without this role as owner, or a role that it belongs to, gets no partitions from it.
_TABLES: Final = (
    "SELECT relname, pg_has_role(relowner, 'USAGE') AS owns, has_table_privilege(oid, 'SELECT, INSERT, UPDATE, DELETE')"
    " AND has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE')"
    " AND has_table_privilege(oid, 'DELETE') AS writes"
    " FROM pg_class WHERE relname IN ('message', 'attempt', 'delivery', 'task', 'setting') AND pg_table_is_visible(oid)"
)
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(7251999) AS taken"
_USED: Final = "SELECT count(*) AS used FROM pg_stat_activity WHERE backend_type = 'client backend'"
_PARTITIONS: Final = "SELECT relname FROM pg_class WHERE relispartition AND pg_table_is_visible(oid)"
_IN_DEFAULT: Final = (
    "SELECT EXISTS (SELECT 1 FROM message_default) AS message, EXISTS (SELECT 1 FROM attempt_default) AS attempt"
)


async def server(read: Read, clock: Clock) -> list[CheckResult]:
    """Check version, role, clock and the privileges on the schema and its tables."""
    row = await read.one(_SERVER)
    found = [
        ok("database version", f"PostgreSQL {row['version'].split()[0]}")
        if row["number"] >= _VERSION_LEAST * 10_000
        else failed("database version", f"PostgreSQL {row['version']}", f"upgrade to {_VERSION_LEAST} or later")
    ]
    if row["is_standby"] or row["is_read_only"]:
        found.append(failed("database writes", "the server is read-only", "connect to the primary (db_dsn)"))
    found += [await _privileges(read, row["schema"], row["role"], may_create=row["may_create"]), await _lock(read)]
    return [*found, _skew(row["now"] - clock.now())]


async def _privileges(read: Read, schema: str | None, role: str, *, may_create: bool) -> CheckResult:
    name = "database privileges"
    if schema is None or not may_create:
        remedy = f"GRANT USAGE, CREATE ON SCHEMA {schema or 'public'} TO {role}"
        return failed(name, f"the role {role} may not create tables and partitions", remedy)
    tables = await read.rows(_TABLES)
    lacking = sorted(row["relname"] for row in tables if not (row["writes"] and row["owns"]))
    if lacking:
        remedy = f"make {role} a member of the role that owns them, or their owner"
        return failed(name, f"the role {role} does not own or write {', '.join(lacking)}", remedy)
    return ok(name, f"the role {role} may create and write tables in the schema {schema}")


async def _lock(read: Read) -> CheckResult:
    row = await read.one(_LOCK)
    found = "can be taken" if row["taken"] else "one was in use, so they work"
    return ok("advisory locks", found)


def _skew(skew_ms: int) -> CheckResult:
    name, text = "clock", f"{abs(skew_ms) / SECOND:.1f} s {'behind' if skew_ms > 0 else 'ahead of'} the database"
    if abs(skew_ms) > _SKEW_MAX_MS:
        return failed(name, text, "set both clocks with NTP: tokens are refused")
    if abs(skew_ms) > _SKEW_MS:
        return warning(name, text, "set both clocks with NTP; tidings uses the database's")
    return ok(name, text)


async def settings(read: Read) -> list[CheckResult]:
    """Compare the settings of the server with those recommended, one result for each that differs.

    A setting that has to be on, and is off, loses or damages data sooner or later.
    """
    found = [
        (failed if unmet.setting.bound is Bound.ON else warning)(
            "database settings",
            f"{unmet.setting.name} is {unmet.current}",
            f"recommended: {_wanted(unmet.setting)}. {unmet.setting.reason}",
        )
        for unmet in await unmet_settings(read)
    ]
    return found or [ok("database settings", f"{', '.join(each.name for each in RECOMMENDED)} are as recommended")]


def _wanted(setting: ServerSetting) -> str:
    return setting.value if setting.bound is Bound.ON else f"{setting.bound} {setting.value}"


async def connections(read: Read, *, limit: int | None, needed: int) -> CheckResult:
    """Compare the connections that one `serve` needs with those that the server grants."""
    name = "database connections"
    used = int((await read.one(_USED))["used"]) - 1  # without this one
    if limit is None:
        return ok(name, f"one `serve` uses up to {needed}; the pooler limits them")
    text = f"one `serve` uses up to {needed} of {limit}, and {used} are in use"
    if needed > limit:
        return failed(name, text, "lower workers or db_pool_max_size, or raise max_connections")
    if needed + used > limit:
        return warning(name, text, "leave room for the other clients: raise max_connections")
    return ok(name, text)


async def schema(read: Read, now: int, known: Sequence[Migration] | None = None) -> list[CheckResult]:
    """Check the migrations, and the partitions of this week and the next."""
    found = [await migrations(read, known)]
    names = {row["relname"] for row in await read.rows(_PARTITIONS)}
    if not names:
        return found
    missing = sorted({each for at in (now, now + WEEK) for each in week_names(at)} - names)
    if missing:
        remedy = "a running node creates them once an hour; read its log for the reason"
        found.append(warning("partitions", f"{', '.join(missing)} missing", remedy))
    else:
        found.append(ok("partitions", f"{len(names)}, this week's and the next one's among them"))
    row = await read.one(_IN_DEFAULT)
    filled = [f"{table}_default" for table in ("message", "attempt") if row[table]]
    if filled:
        text = f"{', '.join(filled)} has rows: of weeks without a partition"
        found.append(warning("default partitions", text, "they work the same; `tidings prune` deletes old ones by row"))
    else:
        found.append(ok("default partitions", "empty"))
    return found


async def migrations(read: Read, known: Sequence[Migration] | None = None) -> CheckResult:
    """Compare the migrations that ran with those of this release."""
    name = "schema"
    difference = await schema_difference(read, known_migrations() if known is None else known)
    if difference.fault is not None:
        return failed(name, difference.fault, "see the documentation on upgrades")
    if difference.is_empty:
        return warning(name, "the database is empty", "`tidings serve` or `tidings migrate` creates the schema")
    if difference.pending:
        return warning(name, f"pending migrations: {', '.join(difference.pending)}", "run `tidings migrate`")
    return ok(name, f"at migration {difference.newest}, that of this release")
