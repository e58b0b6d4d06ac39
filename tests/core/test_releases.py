# SPDX-License-Identifier: MIT
"""A feature that changes what is sent is refused while a node of an older release runs."""

import pytest

from tidings import __version__
from tidings.core import releases
from tidings.errors import AppError, ErrorKind
from tidings.storage.drivers.database import Database

OLD = "host-7:1:0000000b"
_ADD = "INSERT INTO node (id, worker, release) VALUES (:id, :worker, :release)"


async def _require(db: Database) -> None:
    async with db.write() as tx:
        await releases.require(tx, releases.DISPATCH, "A payload filter")


async def _start(db: Database, *nodes: tuple[str, str]) -> None:
    async with db.write() as tx:
        for number, (worker, release) in enumerate(nodes):
            await tx.run(_ADD, id=number, worker=worker, release=release)


async def test_nodes_of_this_or_a_later_release_allow_it(db: Database) -> None:
    await _require(db)
    await _start(db, ("a", __version__), ("b", "0.2"), ("c", "0.10.0"), ("d", "1.0.0"), ("e", "0.2.1.dev3"))
    await _require(db)


@pytest.mark.parametrize("release", ["0.1.0", "0.1.99", "0.1", "0.0.9", "unknown", ""])
async def test_an_older_node_refuses_it_and_is_named(db: Database, release: str) -> None:
    await _start(db, ("new", __version__), (OLD, release), ("other", "0.3.0"))

    with pytest.raises(AppError) as refused:
        await _require(db)

    assert (refused.value.kind, refused.value.code) == (ErrorKind.CONFLICT, "older_release")
    assert f"the node {OLD} runs {release}" in refused.value.detail
