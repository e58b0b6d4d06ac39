# SPDX-License-Identifier: MIT
"""The architecture rules as data, and the checks for violations; a change to a table is a visible decision.

A rule takes a Source and yields (line, violation).
"""

import ast
import graphlib
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from source_tree import (
    PACKAGE,
    Breach,
    Source,
    dotted,
    functions,
    imports,
    is_in,
    line_of,
    module_of,
    own_imports,
    targets,
    text_of,
    uses,
)

GROUND = ("clock", "dsn", "errors", "failpoint", "ids", "measures", "spans")
BELOW_CORE = ("log_lines", "logs", "model", "observe", *GROUND)
WORDS_OF_THE_API = ("api.fields", "api.messages", "api.query", "api.routes", "api.started", "api.wire")
# The imports that each package may make, beside itself. A package without a row is not allowed.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "measures": (),
    "spans": (),
    "failpoint": (),
    "dsn": (),
    "values": (),
    "clock": ("errors",),
    "ids": ("clock", "errors"),
    "log_lines": (),
    "logs": ("log_lines",),
    "observe": ("logs", *GROUND),
    "sign_in_rules": (),
    "settings": ("dsn", "settings_groups", "sign_in_rules", "values"),
    "settings_groups": ("values",),
    "config": ("settings", "values"),
    "model": ("observe", *GROUND),
    "storage": BELOW_CORE,
    "sandbox": BELOW_CORE,
    "sandbox.child": ("sandbox",),
    "sandbox.confinement": (),
    "sandbox.frames": (),
    "core": ("sandbox", "storage", *BELOW_CORE),
    "delivery": ("core", "sandbox", "storage", *BELOW_CORE),
    "tasks": ("core", "storage", *BELOW_CORE),
    "tasks.declaration": ("api.routes", *BELOW_CORE),
    "tasks.kinds": (*WORDS_OF_THE_API, "core", "storage", *BELOW_CORE),
    "tasks.resending": (*WORDS_OF_THE_API, "core", "storage", *BELOW_CORE),
    "asgi": ("core.idempotency", *BELOW_CORE),
    "api": ("asgi", "core", *BELOW_CORE),
    "portal": ("asgi", "core", "sign_in_rules", "storage.drivers.database", *BELOW_CORE),
    "tasks.routes": ("api", "asgi", "core", *BELOW_CORE),
    "table": ("api", "tasks", *BELOW_CORE),
    "terms": ("api", "delivery", "sandbox", "settings", "tasks", "values", *BELOW_CORE),
    "process": ("logs", "observe", "settings", *GROUND),
    "metrics": ("api.connection", "api.lifetime", "api.tuning", "core", "process.http", "storage", *BELOW_CORE),
    "server": (
        "api",
        "asgi",
        "core",
        "delivery",
        "metrics",
        "portal",
        "process",
        "sandbox",
        "settings",
        "sign_in_rules",
        "storage",
        "table",
        "tasks",
        "terms",
        "values",
        *BELOW_CORE,
    ),
    "dev": (
        "asgi",
        "core",
        "portal",
        "process.stopping",
        "server",
        "settings",
        "storage.drivers.database",
        *BELOW_CORE,
    ),
    "demo": ("config", "process", "settings", *BELOW_CORE),
    "cli": (
        "config",
        "core",
        "demo",
        "dev",
        "metrics.workers",
        "process",
        "server",
        "settings",
        "storage.drivers.database",
        "storage.drivers.sqlite_backup",
        "terms",
        *BELOW_CORE,
    ),
    "cli.task_commands": ("api.routes", "cli", "tasks.command", "tasks.declaration", "tasks.registry", *BELOW_CORE),
    "cli.direct_status": ("api.status", "core", "server.database", "settings", *BELOW_CORE),
    "__main__": ("cli",),
}

# module: the heavy and rarely needed modules that it may import inside a function.
LATE_IMPORTS: dict[str, tuple[str, ...]] = {
    "core.schemas": ("jsonschema_rs",),
    "cli.backup": ("tidings.storage.drivers.sqlite_backup",),
    "cli.admin": ("tidings.cli.deletion", "tidings.model.signature"),
    "cli.doctor": ("tidings.server.doctor",),
    "cli.demo": ("tidings.demo",),
    "cli.dev": ("tidings.dev",),
    "cli.keys": ("tidings.cli.key_access",),
    "cli.listen": (
        "tidings.cli.following",
        "tidings.cli.listening",
        "tidings.cli.local_receiver",
        "tidings.model.signature",
    ),
    "cli.main": ("tidings.cli.commands", "tidings.cli.health"),
    "cli.issuing": ("tidings.server.database",),
    "cli.serve": (
        "tidings.metrics.workers",
        "tidings.process.supervisor",
        "tidings.server.database",
        "tidings.server.node",
        "tidings.server.portal",
        "tidings.server.serving",
        "tidings.terms",
    ),
    "cli.status": ("tidings.cli.direct_status",),
    "cli.task_run": ("tidings.cli.task_commands",),
    "cli.token": ("tidings.cli.issuing",),
    "server.mailing": ("tidings.delivery.smtp",),
    "model.yaml_text": ("yaml",),
    "server.serving": ("tidings.server.metrics", "tidings.server.tracing"),
    "tasks.archive": ("datamodel_code_generator",),
}

# The modules that may do each of these. A package includes all of its modules.
SQL = ("storage",)
ENVIRONMENT = ("config",)
WALL_CLOCK = ("clock",)
SOCKETS = (
    *("delivery.client", "delivery.connection", "delivery.dial", "delivery.lookup", "delivery.pool", "delivery.proxy"),
    "cli.serve",
    "delivery.smtp",
    "demo",
    "metrics",
    "process",
    "sandbox.process",
    "server",
    "storage.drivers.postgres_connect",
)
# Spawned tasks must be watched and ended, so only servers, runners, batchers and single flights spawn them.
SPAWNERS = (
    "api.hot",
    "asgi.stream",
    "core.accept",
    "core.task_watcher",
    "delivery.address",
    "delivery.pool",
    "delivery.role",
    "delivery.settle",
    "delivery.transforming",
    "demo",
    "dev.run",
    "metrics.workers",
    "portal.live",
    "process",
    "sandbox.pool",
    "server",
    "storage.drivers.postgres",
    "storage.drivers.sqlite",
    "tasks.external_work",
    "tasks.runner",
)
# The modules that start processes; each of them limits, kills and awaits its children.
PROCESSES = ("demo", "process.supervisor", "sandbox.process", "tasks.generator")

MAX_FILE = 420
MAX_FUNCTION = 50
MAX_CLASS = 250
VAGUE_NAMES = {"base", "common", "helpers", "misc", "utils"}

SQL_SHAPE = re.compile(
    r"\s*(SELECT\s+\S.*\sFROM\s+\w|SELECT\s+[\w.]+\(|INSERT\s+(OR\s+\w+\s+)?INTO\s+\w|UPDATE\s+\w+(\s+(AS\s+)?\w+)?\s+SET\s"
    r"|DELETE\s+FROM\s+\w|WITH\s+(RECURSIVE\s+)?\w+\s*(\([^)]*\)\s*)?AS\s+(NOT\s+|MATERIALIZED\s+)*\("
    r"|(CREATE|ALTER|DROP)\s+(UNIQUE\s+)?(TABLE|INDEX|VIEW)\s|PRAGMA\s+\w+\s*([=(]|$))",
    re.IGNORECASE | re.DOTALL,
)
WALL_CLOCKS = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today")
# Split, so that this file does not match.
FORBIDDEN_TEXT = {
    "a machine's path": re.compile(r"(?<![\w.])/(?:work|root)[/]"),
    "a package index": re.compile(
        r"pypi[.]org|pythonhosted[.]org|npmjs[.]org|proxy[.]golang[.]org|maven[.]org|static[.]crates[.]io"
        r"|--(?:extra-)?index[-]url[ =]\S|--find[-]links[ =]\S"
    ),
    "an unfinished thought": re.compile(r"\b(?:TO[D]O|FIX[M]E)\b"),
}

Rule = Callable[[Source], Iterator[Breach]]


def breaches(rule: Rule, sources: list[Source], root: Path) -> list[str]:
    return [f"{source.path.relative_to(root)}:{line}: {what}" for source in sources for line, what in rule(source)]


def imports_run_down(source: Source) -> Iterator[Breach]:
    if source.room and source.room not in MAY_IMPORT:
        yield 1, f"{source.room} has no row in the table of imports"
        return
    # The package's own __init__ imports nothing; it holds the version, which every module may read.
    row = max((name for name in MAY_IMPORT if source.is_in((name,))), key=len, default="")
    allowed = (source.room, "__version__", *MAY_IMPORT[row]) if row else ()
    for node, target in own_imports(source):
        if not is_in(target, allowed):
            yield node.lineno, f"{source.module or PACKAGE} may not import {target}"


def imports_stand_at_the_top(source: Source) -> Iterator[Breach]:
    for function in functions(source.nodes):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for target in targets(node, source):
                    if not is_in(target, LATE_IMPORTS.get(source.module, ())):
                        yield node.lineno, f"{target} is imported inside {function.name}"


def no_import_only_for_types(source: Source) -> Iterator[Breach]:
    for line, found in source.names:
        if found.endswith("TYPE_CHECKING"):
            yield line, "TYPE_CHECKING hides an import circle"


def sql_only_in_storage(source: Source) -> Iterator[Breach]:
    if source.is_in(SQL):
        return
    prose = {id(node.value) for node in source.nodes if isinstance(node, ast.Expr)}
    for node in source.nodes:
        if id(node) not in prose and SQL_SHAPE.match(text_of(node)):
            yield line_of(node), "SQL outside storage"


def no_database_by_its_brand(source: Source) -> Iterator[Breach]:
    if not source.is_in(SQL):
        names = ("dialect", "Dialect", "PostgresDatabase", "SqliteDatabase")
        yield from uses(source, names, "storage has properties for it, such as `has_one_writer`")


def environment_only_in_config(source: Source) -> Iterator[Breach]:
    if not source.is_in(ENVIRONMENT):
        yield from uses(source, ("os.environ", "os.environb", "os.getenv", "os.putenv"), "the environment")


def wall_clock_only_in_clock(source: Source) -> Iterator[Breach]:
    if not source.is_in(WALL_CLOCK):
        yield from uses(source, WALL_CLOCKS, "the wall clock")


def sockets_only_where_listed(source: Source) -> Iterator[Breach]:
    for node, target in imports(source):
        if target.partition(".")[0] in ("socket", "ssl") and not source.is_in(SOCKETS):
            yield node.lineno, f"{target} is not for {source.module}"


def spawning_only_where_listed(source: Source) -> Iterator[Breach]:
    if not source.is_in(SPAWNERS):
        spawning = ("asyncio.create_task", "asyncio.ensure_future", "loop.create_task", "get_running_loop.create_task")
        yield from uses(source, spawning, "a task without a known watcher")


def processes_only_where_listed(source: Source) -> Iterator[Breach]:
    for node, target in imports(source):
        if target.partition(".")[0] in ("subprocess", "multiprocessing") and not source.is_in(PROCESSES):
            yield node.lineno, f"{target} is not for {source.module}"
    if not source.is_in(PROCESSES):
        names = ("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell")
        yield from uses(source, (*names, "os.fork", "os.system", "os.popen"), "a process without a known owner")
    yield from uses(source, ("os.fork", "os.forkpty"), "a child is started by exec")


_TURN_OF_THE_LOOP = "await asyncio.sleep(0)"
"""Lets other tasks run between the statements of a long transaction; it waits for nothing."""


def only_the_database_is_awaited_under_a_connection(source: Source) -> Iterator[Breach]:
    """While a connection is held, only the database is awaited: no thread, process, HTTP request or timer.

    A connection is held through parameters of the types `Read` and `Write`, and within `async with db.read()` and
    `db.write()`.
    """
    for function in functions(source.nodes):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        held = {each.arg for each in arguments if each.annotation and dotted(each.annotation) in ("Read", "Write")}
        closures = {each.name for each in functions(ast.walk(ast.Module(function.body, [])))}
        for statement in function.body:
            yield from _awaited_beside(statement, held, closures)


def _awaited_beside(node: ast.AST, held: set[str], closures: set[str]) -> Iterator[Breach]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return  # has connections of its own
    if isinstance(node, ast.AsyncWith):
        held = held | {item.optional_vars.id for item in node.items if _opens(item)}  # type: ignore[union-attr]
        node = ast.Module(node.body, [])
    if isinstance(node, ast.Await) and held:
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        if not names & (held | closures) and ast.unparse(node) != _TURN_OF_THE_LOOP:
            yield node.lineno, f"{ast.unparse(node)} while {', '.join(sorted(held))} is held"
    for child in ast.iter_child_nodes(node):
        yield from _awaited_beside(child, held, closures)


def _opens(item: ast.withitem) -> bool:
    call = item.context_expr
    is_open = isinstance(call, ast.Call) and re.search(r"\b_?(db|database)\.(read|write)$", dotted(call.func))
    return bool(is_open) and isinstance(item.optional_vars, ast.Name)


def files_are_short(source: Source) -> Iterator[Breach]:
    lines = len(source.path.read_text().splitlines())
    if lines > MAX_FILE:
        yield lines, f"{lines} lines; {MAX_FILE} is the end"


def functions_are_short(source: Source) -> Iterator[Breach]:
    for function in functions(source.nodes):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > MAX_FUNCTION:
            yield function.lineno, f"{function.name} has {lines} lines; {MAX_FUNCTION} is the end"


def classes_are_short(source: Source) -> Iterator[Breach]:
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and (node.end_lineno or node.lineno) - node.lineno >= MAX_CLASS:
            yield node.lineno, f"{node.name} has more than {MAX_CLASS} lines"


def names_say_something(source: Source) -> Iterator[Breach]:
    for name in {source.path.stem, source.path.parent.name} & VAGUE_NAMES:
        yield 1, f"{name} does not describe its content"


PACKAGE_RULES: tuple[Rule, ...] = (
    imports_run_down,
    imports_stand_at_the_top,
    no_import_only_for_types,
    sql_only_in_storage,
    no_database_by_its_brand,
    environment_only_in_config,
    wall_clock_only_in_clock,
    sockets_only_where_listed,
    spawning_only_where_listed,
    processes_only_where_listed,
    classes_are_short,
    only_the_database_is_awaited_under_a_connection,
)
RULES_FOR_ALL: tuple[Rule, ...] = (files_are_short, functions_are_short, names_say_something)


def import_circle(sources: list[Source]) -> list[str]:
    """Return the modules of one import cycle, if there is any."""
    modules = {source.module for source in sources}
    graph = {
        source.module: {module_of(target, modules) for _, target in own_imports(source)} - {source.module}
        for source in sources
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def forbidden_texts(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}:{number}: {what}"
        for path in _text_files(root)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        for what, shape in FORBIDDEN_TEXT.items()
        if shape.search(line)
    ]


def _text_files(root: Path) -> Iterator[Path]:
    """Yield the files that git tracks or would add; without git, yield all files."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listing.stdout.split("\0") if listing.returncode == 0 else [str(path) for path in root.rglob("*")]
    for path in (root / name for name in names if name):
        if path.is_file() and b"\0" not in path.read_bytes()[:8192]:
            yield path
