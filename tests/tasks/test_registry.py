# SPDX-License-Identifier: MIT
"""Every kind is declared completely, so that the API, the command line and the documentation have it."""

import pytest

from tidings.tasks.declaration import Declaration
from tidings.tasks.registry import DECLARED, KINDS, PUBLIC


def test_no_two_kinds_declare_the_same_name() -> None:
    for names in (
        [kind.name for kind in DECLARED],
        [kind.member for kind in PUBLIC],
        [kind.command.name for kind in PUBLIC if kind.command is not None],
    ):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.name)
def test_a_kind_that_callers_can_start_is_complete(kind: Declaration) -> None:
    assert kind.route is not None, "only internal kinds have no route: their names begin with system."
    assert kind.command is not None, "`tidings tasks run` would not start it"
    assert kind.first_rate is not None, "a dry run would have no estimate"
    assert kind.result is not None, "the OpenAPI document would not describe its data"
    assert {parameter.key for parameter in kind.command.parameters if parameter.key in kind.route.path} == {
        part.strip("{}") for part in kind.route.path.split("/") if part.startswith("{")
    }


def test_internal_kinds_are_known_but_not_listed() -> None:
    assert set(KINDS.names) - set(KINDS.listed) == {kind.name for kind in DECLARED if kind.is_internal} != set()
