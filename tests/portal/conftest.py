# SPDX-License-Identifier: MIT
"""The pages over a real database of each kind, opened as a browser opens them."""

from collections.abc import AsyncIterator

import pytest_asyncio

from api.conftest import opened_api
from portal.kit import Site, site_of
from portal.provider import providing
from portal.sign_in_kit import SignIn, settings_of


@pytest_asyncio.fixture
async def site(migrated_url: str) -> AsyncIterator[Site]:
    """Give the pages on both databases, with a stopped clock."""
    async for api in opened_api(migrated_url):
        yield site_of(api)


@pytest_asyncio.fixture
async def lite_site(migrated_sqlite_url: str) -> AsyncIterator[Site]:
    """Give the pages on SQLite alone, for facts that do not depend on the database."""
    async for api in opened_api(migrated_sqlite_url):
        yield site_of(api)


@pytest_asyncio.fixture
async def sign_in(lite_site: Site) -> AsyncIterator[SignIn]:
    """Give a service whose users sign in at a provider."""
    async with providing(lite_site.api.clock) as provider:
        yield SignIn(lite_site.api, provider, site_of(lite_site.api, **settings_of(provider)))
