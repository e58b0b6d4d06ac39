# SPDX-License-Identifier: MIT
"""`tidings keys` and the options of `tidings jwt generate`, beside a running service and without one."""

import json
import time
from pathlib import Path

import pytest

from cli.command import tidings
from live import SECRET, Live, serving
from tidings.model import api_key


def _status(server: Live, key: str) -> int:
    return server.call("GET", "/api/v1/app", token=key)[0]


def test_keys_of_a_running_service_are_created_listed_and_revoked(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path) as server:
        given = {"jwt_secret": SECRET, "db_dsn": database_url, "listen_address": f"127.0.0.1:{server.port}"}
        made = tidings("keys", "create", "--name", "ci", "--quiet", folder=tmp_path, **given)
        key = made.out.strip()
        assert api_key.is_well_formed(key), made.err
        assert 200 == _status(server, key)

        operator = tidings("keys", "create", "--name", "ops", "--operator", "--json", folder=tmp_path, **given)
        assert ["operator"] == json.loads(operator.out)["scopes"]
        listed = tidings("keys", "list", folder=tmp_path, **given).out.splitlines()
        [row] = [line.split("\t") for line in listed if "\tci\t" in line]
        assert key not in str(listed)

        assert 0 == tidings("keys", "revoke", row[0], folder=tmp_path, **given).code
        deadline = time.monotonic() + 30
        while _status(server, key) != 401 and time.monotonic() < deadline:
            pass  # on PostgreSQL the node hears of it within two seconds
        assert 401 == _status(server, key)
        assert key not in server.log()


def test_keys_are_created_without_a_service(tmp_path: Path) -> None:
    made = tidings("keys", "create", "--name", "first", "--expires", "30d", "--db", "sqlite:///t.db", folder=tmp_path)

    assert api_key.is_well_formed(made.out.strip())
    assert "not shown again" in made.err
    listed = tidings("keys", "list", "--json", "--db", "sqlite:///t.db", folder=tmp_path)
    [key] = json.loads(listed.out)["data"]
    assert ("first", "cli") == (key["name"], key["x"]["createdBy"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("create", "--name", "a", "--expires", "soon"), "--expires"),
        (("create", "--name", "a", "--expires", "9999d"), "--expires"),
        (("create", "--name", "a", "--operator", "--application", "b"), "--operator"),
        (("create", "--name", "a\nb"), "name"),
        (("create", "--name", "a", "customer"), "organization"),
        (("revoke", "key_1"), "id of the key"),
        (("list", "--url", "http://127.0.0.1:1"), "--token"),
    ],
)
def test_a_wrong_argument_is_reported_in_one_sentence(arguments: tuple[str, ...], word: str, tmp_path: Path) -> None:
    result = tidings("keys", *arguments, folder=tmp_path, db_dsn="sqlite:///t.db")

    assert 2 == result.code
    assert word in result.error_line


def test_a_token_is_printed_alone_and_with_a_lifetime(tmp_path: Path) -> None:
    result = tidings("jwt", "generate", "--quiet", "--expires", "1h", folder=tmp_path, jwt_secret=SECRET)

    assert 3 == len(result.out.strip().split("."))
    assert "\n" == result.out[-1:]
