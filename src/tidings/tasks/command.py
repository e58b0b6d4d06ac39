# SPDX-License-Identifier: MIT
"""The command `tidings tasks run …` of a kind, as data: the command line builds it, and sends the request of the route.

Every command also has the options of all kinds: `--dry-run`, `--wait`, `--url`, `--token` and `--json`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Value(Enum):
    """The type of a parameter, and so the way in which its text becomes a value of the request."""

    TEXT = "text"
    TEXTS = "an option that may be repeated"
    NUMBER = "number"
    FLAG = "flag"
    TIMESTAMP = "an age or an RFC 3339 timestamp"
    JSON = "a JSON object, @file, or - for standard input"


class Target(Enum):
    """The part of the request that receives a parameter."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class CliParameter:
    """An argument or an option of a command."""

    name: str
    """The name of an option without dashes; for an argument, the name in its usage."""
    key: str
    """The name in the request."""
    help: str
    value: Value = Value.TEXT
    target: Target = Target.BODY
    is_argument: bool = False
    is_required: bool = False
    default: str | None = None
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class CliCommand:
    """A command that starts a task: its name, its help, and its parameters in the order of the help."""

    name: str
    help: str
    parameters: tuple[CliParameter, ...] = ()


def argument(
    name: str, key: str, help_: str, *, value: Value = Value.TEXT, target: Target = Target.BODY
) -> CliParameter:
    """Return an argument, which is required."""
    return CliParameter(name=name, key=key, help=help_, value=value, target=target, is_argument=True, is_required=True)


APP: Final = argument("APP", "app_id", "The application's id or uid.", target=Target.PATH)
ENDPOINT: Final = argument("ENDPOINT", "endpoint_id", "The endpoint's id or uid.", target=Target.PATH)
SINCE: Final = CliParameter(
    name="since",
    key="since",
    help="Start of the range: an age (`2h`) or an RFC 3339 timestamp.",
    value=Value.TIMESTAMP,
    is_required=True,
)
UNTIL: Final = CliParameter(name="until", key="until", help="End of the range. Default: now.", value=Value.TIMESTAMP)
RATE: Final = CliParameter(
    name="rate", key="ratePerSecond", help="Maximum messages per second.", value=Value.NUMBER, minimum=1
)
FORCE: Final = CliParameter(
    name="force",
    key="force",
    help="Accept a disabled endpoint, and wait until it is enabled.",
    value=Value.FLAG,
    target=Target.QUERY,
)
