# SPDX-License-Identifier: MIT
"""The secret that signs tokens, and the tokens that we issue."""

import asyncio

import jwt

from tidings.clock import DAY, ManualClock
from tidings.core.access import issue_app_token, issue_org_token, jwt_secret
from tidings.ids import AppId, OrgId
from tidings.storage.drivers.store import migrate, opened

SECRET = "8KjzRXrKkd9YFcNyqLSIY8JwiaCeRc6WK4UkMnSW"


async def test_a_missing_secret_is_generated_once_for_all_nodes(postgres_dsn: str) -> None:
    nodes = [await opened(postgres_dsn) for _ in range(3)]
    await migrate(nodes[0])

    made = await asyncio.gather(*[jwt_secret(node, None) for node in nodes])

    assert 1 == len(set(made))
    assert 32 <= len(made[0])
    assert {"kept": False, "given": "mine"} == {"kept": "mine" in made, "given": await jwt_secret(nodes[0], "mine")}
    for node in nodes:
        await node.close()


async def test_a_generated_secret_survives_a_restart(sqlite_url: str) -> None:
    made = []
    for _ in range(2):
        db = await opened(sqlite_url)
        await migrate(db)
        made.append(await jwt_secret(db, None))
        await db.close()

    assert made[0] == made[1]


def test_an_organization_token_has_svix_servers_claims() -> None:
    now = ManualClock().now()

    claims = jwt.decode(issue_org_token(SECRET, OrgId("org_x"), now), SECRET, ["HS256"], options={"verify_exp": False})

    timestamp = now // 1000
    expected = {
        "iat": timestamp,
        "nbf": timestamp,
        "exp": timestamp + 315_360_000,
        "iss": "svix-server",
        "sub": "org_x",
    }
    assert expected == claims


def test_an_application_token_has_its_organization_and_its_feature_flags() -> None:
    now = ManualClock().now()
    token = issue_app_token(SECRET, OrgId("org_x"), AppId("app_y"), now, ("beta",))

    claims = jwt.decode(token, SECRET, ["HS256"], options={"verify_exp": False})

    assert {"sub": "app_y", "org": "org_x", "feature_flags": ["beta"]}.items() <= claims.items()
    assert 28 * DAY // 1000 == claims["exp"] - claims["iat"]
