# SPDX-License-Identifier: MIT
"""The minimum length of secrets."""

from pathlib import Path
from typing import Any

import pytest

from cli.command import tidings
from tidings.core.access import jwt_secret
from tidings.settings import ConfigError, Settings
from tidings.storage.drivers.store import migrate, opened

LEAST = {"HS256": 32, "HS384": 48, "HS512": 64}


@pytest.mark.parametrize(("algorithm", "least"), LEAST.items())
def test_production_refuses_a_jwt_secret_that_is_shorter_than_the_hash(algorithm: str, least: int) -> None:
    given: dict[str, Any] = {"environment": "prod", "jwt_algorithm": algorithm}

    assert [] == Settings(**given, jwt_secret="s" * least).weak_secrets()
    assert [] == Settings(**given, jwt_secret="é" * (least // 2)).weak_secrets()
    for size in (1, least - 1):
        with pytest.raises(ConfigError, match=f"jwt_secret has {size} bytes, and {algorithm} needs at least {least}"):
            Settings(**given, jwt_secret="s" * size)


@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_outside_production_a_short_secret_is_a_warning(environment: str) -> None:
    found = Settings(environment=environment, jwt_secret="s", main_secret="m").weak_secrets()

    assert ["jwt_secret", "main_secret"] == [each.split()[0] for each in found]


def test_production_refuses_a_main_secret_that_can_be_guessed() -> None:
    given: dict[str, Any] = {"environment": "prod", "jwt_secret": "s" * 32}

    with pytest.raises(ConfigError, match="main_secret has 15 bytes"):
        Settings(**given, main_secret="m" * 15)
    assert 1 == len(Settings(**given, main_secret="m" * 16).weak_secrets())
    assert [] == Settings(**given, main_secret="m" * 32).weak_secrets()


def test_a_short_secret_is_named_and_not_shown(tmp_path: Path) -> None:
    for command in (("serve",), ("jwt", "generate")):
        said = tidings(*command, folder=tmp_path, environment="prod", jwt_secret="hunter2hunter2")

        assert 2 == said.code
        assert "jwt_secret has 14 bytes" in said.error_line
        assert "hunter2" not in said.out + said.err


@pytest.mark.parametrize("algorithm", LEAST)
async def test_the_generated_secret_is_long_enough(sqlite_url: str, algorithm: str) -> None:
    db = await opened(sqlite_url)
    await migrate(db)

    made = await jwt_secret(db, None)

    await db.close()
    assert [] == Settings(jwt_algorithm=algorithm, jwt_secret=made).weak_secrets()
