# SPDX-License-Identifier: MIT
"""Dataclasses as rows and rows as dataclasses."""

import sqlite3
from dataclasses import dataclass

from tidings.storage.drivers.database import assigned, from_row, named, to_values


@dataclass(frozen=True, slots=True)
class Lamp:
    name: str
    is_on: bool
    colors: tuple[str, ...]
    watts: int | None = None


LAMP = Lamp("desk", is_on=True, colors=("red", "blue"), watts=5)


def test_a_flag_is_a_number_and_fields_with_a_default_are_left_out() -> None:
    assert to_values(LAMP, colors="red,blue") == {"name": "desk", "is_on": 1, "colors": "red,blue"}


def test_a_stored_row_becomes_the_dataclass_again() -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT 'desk' AS name, 1 AS is_on, 'red,blue' AS colors, 7 AS watts").fetchone()

    found = from_row(Lamp, row, colors=tuple(row["colors"].split(",")))

    assert found == Lamp("desk", is_on=True, colors=("red", "blue"))
    assert found.is_on is True
    assert from_row(Lamp, row, colors=(), watts=row["watts"]).watts == 7


def test_columns_name_their_parameters() -> None:
    assert named("a, b_c") == ":a, :b_c"
    assert assigned("a, b_c") == "a = :a, b_c = :b_c"
