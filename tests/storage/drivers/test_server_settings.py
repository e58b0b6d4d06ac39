# SPDX-License-Identifier: MIT
"""The recommended settings of a PostgreSQL server are compared with those of a real one."""

import pytest

from postgres import Cluster, find_binaries
from tidings.storage.drivers.server_settings import RECOMMENDED, unmet_settings
from tidings.storage.drivers.store import opened


async def unmet(settings: dict[str, str]) -> dict[str, str]:
    """Return the unmet settings of a server with the recommended ones, except those given."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL binaries")
    recommended = {each.name: each.value for each in RECOMMENDED} | {"shared_buffers": "128MB"}
    with Cluster(binaries, {**recommended, **settings}, durable=False) as cluster:
        db = await opened(cluster.dsn("postgres"), connections=1)
        try:
            async with db.read() as read:
                return {each.setting.name: each.current for each in await unmet_settings(read)}
        finally:
            await db.close()


@pytest.mark.postgres
async def test_a_server_with_less_than_the_recommended_settings_is_reported() -> None:
    found = await unmet(
        {
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "autovacuum": "off",
            "max_wal_size": "8191MB",
            "checkpoint_timeout": "899s",
        }
    )

    assert found == {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "autovacuum": "off",
        "shared_buffers": "128MB",
        "max_wal_size": "8191MB",
        "checkpoint_timeout": "899s",
    }
    assert [each.name for each in RECOMMENDED if each.name in found] == list(found)


@pytest.mark.postgres
async def test_a_server_with_the_recommended_settings_or_more_is_not_reported() -> None:
    assert await unmet({"shared_buffers": "1GB"}) == {}
    assert await unmet({"shared_buffers": "2GB", "synchronous_commit": "local", "checkpoint_timeout": "1d"}) == {}
