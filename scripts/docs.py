# SPDX-License-Identifier: MIT
"""Write the parts of the documentation that are derived from the code: settings, tasks, routes, the schema.

`python scripts/docs.py` updates the pages; a test checks that they are up to date.
"""

import dataclasses
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tidings.api.routes import PREFIX, Access
from tidings.api.unserved import OF_SDKS, UNSERVED
from tidings.config import FOREIGN
from tidings.metrics.catalog import CATALOG
from tidings.model.task import TRANSITIONS, WIRE_STATUS, CountChange, State
from tidings.settings import Settings
from tidings.storage.drivers.database import Dialect
from tidings.storage.drivers.server_settings import RECOMMENDED, Bound
from tidings.storage.drivers.store import known_migrations
from tidings.table import TABLE
from tidings.tasks.registry import PUBLIC

CHECKOUT = Path(__file__).resolve().parent.parent
COUNT_CHANGES = {CountChange.KEPT: "", CountChange.ADDED: "+1", CountChange.CLEARED: "0"}
TOKENS = {
    Access.OPEN: "none",
    Access.ANY: "any",
    Access.APP: "organization or application",
    Access.ORG: "organization",
    Access.ORG_OR_OPERATOR: "organization or operator",
    Access.OPERATOR: "operator",
}
TESTS_ONLY = ("failpoints",)
TITLES = {Dialect.SQLITE: "SQLite", Dialect.POSTGRESQL: "PostgreSQL"}


def settings() -> Iterator[str]:
    yield "| setting | default | range | |"
    yield "|---|---|---|---|"
    for each in dataclasses.fields(Settings):
        if each.name in TESTS_ONLY:
            continue
        upper = each.name.upper()
        names = f"`TIDINGS_{upper}`" + ("" if each.metadata["own"] else f", `SVIX_{upper}`")
        yield f"| {names} | {_default(each)} | {_range(each)} | {each.metadata['doc']} |"


def _range(setting: dataclasses.Field[object]) -> str:
    bounds = setting.metadata["bounds"]
    return "" if bounds is None else f"{bounds[0]:,} to {bounds[1]:,}"


def _default(setting: dataclasses.Field[object]) -> str:
    value = setting.default
    if setting.default_factory is not dataclasses.MISSING:
        value = setting.default_factory()
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"`[{','.join(str(item) for item in value)}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def states() -> Iterator[str]:
    yield "| state | on the wire |"
    yield "|---|---|"
    for state in State:
        yield f"| `{state}` | `{WIRE_STATUS[state]}` |"


def diagram() -> Iterator[str]:
    """Draw the commands that move a task between states; the table alone lists those that leave the state unchanged."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for source, target, label in _moves():
        if target is not source:
            arrows.setdefault((source, target), []).append(label)
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.QUEUED}: start"
    for (source, target), labels in arrows.items():
        yield f"    {source} --> {target}: {', '.join(labels)}"
    leaving = {source for source, _ in arrows}
    yield from (f"    {state} --> [*]" for state in State if state not in leaving)
    yield "```"


def _moves() -> Iterator[tuple[State, State, str]]:
    for command, rule in TRANSITIONS.items():
        for source in (state for state in State if state in rule.sources):
            yield source, rule.target, command
            if rule.at_limit is not None:
                yield source, rule.at_limit, f"{command} at the limit"


def transitions() -> Iterator[str]:
    yield "| command | from | to | epoch | failed attempts | |"
    yield "|---|---|---|---|---|---|"
    for command, rule in TRANSITIONS.items():
        sources = ", ".join(f"`{state}`" for state in State if state in rule.sources)
        target = f"`{rule.target}`" + (f", at the limit `{rule.at_limit}`" if rule.at_limit else "")
        epoch = "+1" if rule.raises_epoch else ""
        yield f"| {command} | {sources} | {target} | {epoch} | {COUNT_CHANGES[rule.failed_attempts]} | {rule.why} |"


def kinds() -> Iterator[str]:
    yield "| kind | | route | `tidings tasks run` | `data` | changes |"
    yield "|---|---|---|---|---|---|"
    for kind in PUBLIC:
        route = "" if kind.route is None else f"`{kind.route.method} {kind.route.path}`"
        command = "" if kind.command is None else f"`{kind.command.name}`"
        data = "" if kind.result is None else ", ".join(f"`{name}`" for name in kind.result.members)
        effects = "; ".join(sorted(kind.effects)) or "nothing"
        yield f"| `{kind.name}` | {kind.summary} | {route} | {command} | {data} | {effects} |"


def routes() -> Iterator[str]:
    yield "| route | | token | capability |"
    yield "|---|---|---|---|"
    for route in TABLE:
        needs = f"`{route.needs.value}`" if route.needs and route.access in (Access.APP, Access.ANY) else ""
        yield f"| `{route.method} {PREFIX}{route.path}` | {route.summary} | {TOKENS[route.access]} | {needs} |"


def foreign() -> Iterator[str]:
    yield "| setting | here |"
    yield "|---|---|"
    for name, why in FOREIGN.items():
        yield f"| `SVIX_{name.upper()}` | {why} |"


# Public operations that are served in part, and the missing part.
PARTLY: dict[str, str] = {}
# Groups of operations that a coming release will serve.
PLANNED = ("v1.endpoint.transformation.",)
# Served beyond the public operations: internal ones of Svix's document, and our own.
INTERNAL = (
    "v1.management.authentication.create-api-token",
    "v1.management.authentication.expire-api-token",
    "v1.management.authentication.get-api-token",
    "v1.management.authentication.list-api-tokens",
    "v1.management.authentication.patch-api-token",
    "v1.management.authentication.update-api-token",
    "v1.endpoint.get-throttling-status",
    "v1.endpoint.get_connector",
    "v1.endpoint.transformation.simulate",
    "v1.event-type.export-openapi",
    "v1.message-attempt.count-by-endpoint",
    "v1.message.broadcast",
)
OWN = (
    "v1.authentication.dashboard-access",
    "v1.background-task.cancel",
    "v1.background-task.events",
    "v1.background-task.items",
    "v1.background-task.pause",
    "v1.background-task.resume",
    "v1.background-task.retry",
    "v1.background-task.wait",
    "v1.connector.list-versions",
    "v1.delivery.list",
    "v1.endpoint.enable",
    "v1.endpoint.get-attempt-stats",
    "v1.endpoint.list-deliveries",
    "v1.endpoint.set-connector",
    "v1.export.get",
    "v1.health.live",
    "v1.health.ping",
    "v1.health.ready",
    "v1.message-attempt.list-by-endpoint-deprecated",
    "v1.message-attempt.list-by-msg-deprecated",
    "v1.message.create-batch",
    "v1.message.list-deliveries",
    "v1.message.preview-filter",
    "v1.status.get",
)


def internal() -> Iterator[tuple[str, str, str, str]]:
    """Yield each internal operation of the contract: its id, its route, whether it is served, and a note."""
    reasons = {each.operation: each.reason for each in OF_SDKS}
    lines = (CHECKOUT / "scripts" / "internal_operations.txt").read_text().splitlines()
    for method, path, operation in (line.split() for line in lines if not line.startswith("#")):
        served = "yes" if operation in INTERNAL else "501" if operation in reasons else "404"
        yield operation, f"{method} {path}", served, reasons.get(operation, "")


def public() -> Iterator[tuple[str, str, str, str]]:
    """Yield each public operation of the contract: its id, its route, whether it is served, and a note."""
    for route in TABLE:
        if route.operation not in INTERNAL + OWN:
            note = PARTLY.get(route.operation, "")
            yield route.operation, f"{route.method} {PREFIX}{route.path}", "partly" if note else "yes", note
    for each in UNSERVED:
        served = "planned" if each.operation.startswith(PLANNED) else "501"
        yield each.operation, f"{each.method} {each.path}", served, each.reason


CALLS: dict[str, dict[str, Any]] = tomllib.loads((CHECKOUT / "tests" / "sdk" / "calls.toml").read_text())
"""What each official SDK calls in the tests, by language."""


def served_publicly() -> set[str]:
    """Return the public operations of the contract that are served."""
    return {operation for operation, _, found, _ in public() if found in ("yes", "partly")}


def called_by(language: str) -> set[str]:
    """Return the operations that the SDK of a language calls in the tests."""
    without, beyond = (set(map(str, CALLS[language][member])) for member in ("without", "beyond"))
    return served_publicly() - without | beyond


def callers() -> dict[str, str]:
    """Return the SDKs that call each operation."""
    called = {language: called_by(language) for language in CALLS}
    found = {
        each: [language for language in CALLS if each in called[language]] for each in set().union(*called.values())
    }
    return {each: "all" if len(languages) == len(CALLS) else ", ".join(languages) for each, languages in found.items()}


def sdks() -> str:
    """Return the SDKs of the tests with their releases."""
    *most, last = (f"{language} {stated['release']}" for language, stated in CALLS.items())
    return f"{', '.join(most)} and {last}"


def totals() -> Iterator[str]:
    counted = {
        "public": Counter(served for _, _, served, _ in public()),
        "internal": Counter(served for _, _, served, _ in internal()),
    }
    counted["all"] = counted["public"] + counted["internal"]
    columns = ("yes", "partly", "planned", "501", "404")
    yield f"| operations | {' | '.join(columns)} | all |"
    yield "|---|---|---|---|---|---|---|"
    for name, numbers in counted.items():
        yield f"| {name} | {' | '.join(str(numbers[each]) for each in columns)} | {numbers.total()} |"


def served() -> str:
    """Return the number of operations of the contract that are served."""
    return str(sum(each in ("yes", "partly") for _, _, each, _ in (*public(), *internal())))


def contract() -> Iterator[str]:
    yield "| operation | route | served | SDKs | |"
    yield "|---|---|---|---|---|"
    called = callers()
    for operation, route, served, note in public():
        yield f"| `{operation}` | `{route}` | {served} | {called.get(operation, '')} | {note} |"


def beyond() -> Iterator[str]:
    yield "| operation | route | SDKs | |"
    yield "|---|---|---|---|"
    called = callers()
    for route in TABLE:
        if route.operation in OWN:
            by = called.get(route.operation, "")
            yield f"| `{route.operation}` | `{route.method} {PREFIX}{route.path}` | {by} | {route.summary} |"


def internals() -> Iterator[str]:
    yield "| operation | route | served | |"
    yield "|---|---|---|---|"
    for operation, route, found, note in internal():
        yield f"| `{operation}` | `{route}` | {found} | {note} |"


def of_sdks() -> Iterator[str]:
    yield "| operation | route | |"
    yield "|---|---|---|"
    known = {operation for operation, _, _, _ in internal()}
    for each in OF_SDKS:
        if each.operation in known:
            continue
        yield f"| `{each.operation}` | `{each.method} {each.path}` | {each.reason} |"


def server_settings() -> Iterator[str]:
    yield "| setting of PostgreSQL | recommended | |"
    yield "|---|---|---|"
    for each in RECOMMENDED:
        bound = "" if each.bound is Bound.ON else f"{each.bound} "
        yield f"| `{each.name}` | {bound}`{each.value}` | {each.reason} |"


def metrics() -> Iterator[str]:
    yield "| metric | type | labels | |"
    yield "|---|---|---|---|"
    for metric in CATALOG:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.full_name}` | {metric.type.value} | {labels} | {metric.doc} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "metrics": metrics,
    "kinds": kinds,
    "states": states,
    "diagram": diagram,
    "transitions": transitions,
    "routes": routes,
    "foreign": foreign,
    "totals": totals,
    "contract": contract,
    "beyond": beyond,
    "of_sdks": of_sdks,
    "internals": internals,
    "server_settings": server_settings,
}
NUMBERS: dict[str, Callable[[], str]] = {"served": served, "sdks": sdks}
NUMBER = re.compile(r"(?P<begin><!-- number (?P<name>\w+) -->)[^\n]*?(?P<end><!-- end -->)")
"""A number, or another text, inside of a line."""
PART = re.compile(r"(?P<begin><!-- begin (?P<name>\w+) -->\n).*?(?P<end><!-- end (?P=name) -->)", re.DOTALL)


def filled(page: str) -> str:
    """Return a page with its generated parts as the code has them now."""
    page = NUMBER.sub(lambda part: part["begin"] + NUMBERS[part["name"]]() + part["end"], page)
    return PART.sub(lambda part: part["begin"] + "\n".join((*PARTS[part["name"]](), "")) + part["end"], page)


def pages() -> list[Path]:
    """Return every page of the documentation."""
    folders = (CHECKOUT, CHECKOUT / "docs", CHECKOUT / "examples")
    return [page for folder in folders for page in sorted(folder.glob("*.md"))]


def schema(dialect: Dialect) -> str:
    """Return the schema of one kind of database as one file, with its comments."""
    head = f"-- The schema on {TITLES[dialect]}. Generated from src/tidings/storage/migrations by scripts/docs.py.\n\n"
    text = "\n".join(migration.rendered(dialect) for migration in known_migrations())
    return (
        head + re.sub(r"\)\n((?: *[A-Z(][^\n;]*\n)?);", lambda end: f") {end[1].strip()}".rstrip() + ";", text) + "\n"
    )


def schemas() -> dict[Path, str]:
    """Return the generated files with the schema, one for each kind of database."""
    return {CHECKOUT / "docs" / f"schema.{dialect.value}.sql": schema(dialect) for dialect in Dialect}


def main() -> None:
    found = {page: filled(page.read_text()) for page in pages()} | schemas()
    for page, text in found.items():
        if not page.exists() or page.read_text() != text:
            page.write_text(text)
            print(f"{page.relative_to(CHECKOUT)} is up to date again")


if __name__ == "__main__":
    main()
