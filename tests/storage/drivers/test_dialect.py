# SPDX-License-Identifier: MIT
"""One text of a statement has the same effect on both databases."""

import pytest

from tidings.storage.drivers.database import Database, Sql, composed
from tidings.storage.drivers.dialect import for_postgres, for_sqlite
from tidings.storage.tables import settlement

TEXTS = {
    "DELETE FROM t WHERE a IN :ids AND b = :b": (
        "DELETE FROM t WHERE a IN (SELECT value FROM json_each(:ids)) AND b = :b",
        "DELETE FROM t WHERE a = ANY(CAST($1 AS text[])) AND b = $2",
    ),
    "SELECT 1 FROM t WHERE a IN (SELECT a FROM t LIMIT 1 FOR UPDATE SKIP LOCKED)": (
        "SELECT 1 FROM t WHERE a IN (SELECT a FROM t LIMIT 1)",
        "SELECT 1 FROM t WHERE a IN (SELECT a FROM t LIMIT 1 FOR UPDATE SKIP LOCKED)",
    ),
    "DELETE FROM t WHERE row_address IN (SELECT row_address FROM t WHERE c = :c LIMIT 1)": (
        "DELETE FROM t WHERE rowid IN (SELECT rowid FROM t WHERE c = :c LIMIT 1)",
        "DELETE FROM t WHERE ctid = ANY(ARRAY(SELECT ctid FROM t WHERE c = $1 LIMIT 1))",
    ),
    "DELETE FROM t WHERE row_address IN (SELECT row_address FROM t WHERE (a, b) > (:a, :b)) RETURNING (c)": (
        "DELETE FROM t WHERE rowid IN (SELECT rowid FROM t WHERE (a, b) > (:a, :b)) RETURNING (c)",
        "DELETE FROM t WHERE ctid = ANY(ARRAY(SELECT ctid FROM t WHERE (a, b) > ($1, $2))) RETURNING (c)",
    ),
    "DELETE FROM t USING given(k text) WHERE found_by(t.k, given.k)": (
        "DELETE FROM t WHERE t.k = ?1",
        "DELETE FROM t USING unnest($1::text[]) AS given(k) WHERE t.k = ANY(ARRAY[given.k])",
    ),
    "SELECT a FROM t\nFOR SHARE OF t": ("SELECT a FROM t", "SELECT a FROM t\nFOR SHARE OF t"),
    "UPDATE t SET a = given.x + 1 FROM given(k text, x bigint) WHERE t.k = given.k": (
        "UPDATE t SET a = ?2 + 1 WHERE t.k = ?1",
        "UPDATE t SET a = given.x + 1 FROM unnest($1::text[], $2::bigint[]) AS given(k, x) WHERE t.k = given.k",
    ),
    "DELETE FROM t USING given(k text, unused bigint) WHERE t.k = given.k": (
        "DELETE FROM t WHERE t.k = ?1 AND ?2 IS NOT NULL",
        "DELETE FROM t USING unnest($1::text[], $2::bigint[]) AS given(k, unused) WHERE t.k = given.k",
    ),
    "INSERT INTO t (a, b) SELECT given.a, 0 FROM given(a text) ON CONFLICT DO NOTHING": (
        "INSERT INTO t (a, b) VALUES (?1, 0) ON CONFLICT DO NOTHING",
        "INSERT INTO t (a, b) SELECT given.a, 0 FROM unnest($1::text[]) AS given(a) ON CONFLICT DO NOTHING",
    ),
    "INSERT INTO t (a, b) SELECT * FROM given(a text, b bytea)": (
        "INSERT INTO t (a, b) VALUES (?1, ?2)",
        "INSERT INTO t (a, b) SELECT * FROM unnest($1::text[], $2::bytea[]) AS given(a, b)",
    ),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_translated_for_each_database(text: str) -> None:
    assert (for_sqlite(text), for_postgres(text)[0]) == TEXTS[text]


def test_a_pair_of_statements_is_used_as_written() -> None:
    pair = Sql(sqlite="SELECT :a", postgresql="SELECT CAST(:a AS text), :b, :a")

    assert for_sqlite(pair) == "SELECT :a"
    assert for_postgres(pair) == ("SELECT CAST($1 AS text), $2, $1", ("a", "b"))


def test_a_part_that_is_a_pair_fills_each_text_with_its_own() -> None:
    inner = Sql(sqlite="one LIMIT {rows:d}", postgresql="two").format(rows=3)

    assert composed("SELECT {what} FROM ({inner})", what="n", inner=inner) == Sql(
        sqlite="SELECT n FROM (one LIMIT 3)", postgresql="SELECT n FROM (two)"
    )


async def test_a_list_is_translated_into_rows(db: Database) -> None:
    text = (
        "SELECT pair.name AS name, pair.n + 1 AS n FROM rows_of(:names, :numbers bigint) AS pair(name, n)"
        " WHERE pair.name IN :kept ORDER BY pair.n"
    )
    async with db.read() as read:
        found = await read.rows(text, names=["a", "b", "c"], numbers=[3, 2, 1], kept=["a", "c"])
        none = await read.rows(text, names=[], numbers=[], kept=[])

    assert [tuple(row) for row in found] == [("c", 2), ("a", 4)]
    assert none == []


async def test_the_elements_of_a_json_array_are_translated_into_rows(db: Database) -> None:
    text = (
        "WITH listed(items) AS (SELECT CAST(:json AS text))"
        " SELECT item.value AS value FROM listed CROSS JOIN items_of(listed.items) AS item"
    )
    async with db.read() as read:
        found = await read.rows(text, json='["b", "ä"]')

    assert {row["value"] for row in found} == {"b", "ä"}


async def test_the_given_time_takes_precedence_over_the_clock(db: Database) -> None:
    async with db.write() as tx:
        assert (await tx.one("SELECT clock(:now) AS now, transaction_id() AS xid", now=5))["now"] == 5
        own = (await tx.one("SELECT clock(:now) AS now", now=None))["now"]

    assert (own is None) is db.has_one_writer


async def test_an_empty_batch_is_written(db: Database) -> None:
    async with db.write() as tx:
        await settlement.note_delivered(tx, [])
        await settlement.add_attempts(tx, [])
