# SPDX-License-Identifier: MIT
"""Writes into the documentation what the code knows: the settings, the states of a task, the routes.

`python scripts/docs.py` brings the pages up to date; a test holds that they are.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tidings.api.routes import PREFIX, Access
from tidings.api.table import TABLE
from tidings.api.unserved import UNSERVED
from tidings.config import FOREIGN, Settings
from tidings.model.task import TRANSITIONS, WIRE_STATUS, CountChange, State

CHECKOUT = Path(__file__).resolve().parent.parent
COUNT_CHANGES = {CountChange.KEPT: "", CountChange.ADDED: "+1", CountChange.CLEARED: "0"}
TESTS_ONLY = ("failpoints",)


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
    """Draw what moves a task from state to state; what leaves it where it is stands in the table alone."""
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


def routes() -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for route in TABLE:
        yield f"| `{route.method} {PREFIX}{route.path}` | {route.summary} |"


def foreign() -> Iterator[str]:
    yield "| setting | here |"
    yield "|---|---|"
    for name, why in FOREIGN.items():
        yield f"| `SVIX_{name.upper()}` | {why} |"


def operations() -> Iterator[str]:
    yield "| | operation | token | an application's must be able to |"
    yield "|---|---|---|---|"
    for route in TABLE:
        needs = f"`{route.needs.value}`" if route.needs and route.access in (Access.APP, Access.ANY) else ""
        place = f"`{route.method} {route.path}`"
        yield f"| {place} | `{route.operation}` | {route.access.value} | {needs} |"


def unserved() -> Iterator[str]:
    yield "| | operation | why |"
    yield "|---|---|---|"
    for each in UNSERVED:
        yield f"| `{each.method} {each.path}` | `{each.operation}` | {each.why} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "states": states,
    "diagram": diagram,
    "transitions": transitions,
    "routes": routes,
    "foreign": foreign,
    "operations": operations,
    "unserved": unserved,
}
PART = re.compile(r"(?P<begin><!-- begin (?P<name>\w+) -->\n).*?(?P<end><!-- end (?P=name) -->)", re.DOTALL)


def filled(page: str) -> str:
    """Return a page with its parts as the code has them now."""
    return PART.sub(lambda part: part["begin"] + "\n".join((*PARTS[part["name"]](), "")) + part["end"], page)


def pages() -> list[Path]:
    """Return every page of the documentation."""
    return [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]


def main() -> None:
    for page in pages():
        text = page.read_text()
        if filled(text) != text:
            page.write_text(filled(text))
            print(f"{page.relative_to(CHECKOUT)} is up to date again")


if __name__ == "__main__":
    main()
