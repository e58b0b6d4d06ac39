# SPDX-License-Identifier: MIT
"""Each program in examples/ runs as its README describes and prints the promised output."""

import subprocess
import sys
from pathlib import Path

import pytest

import live
from conftest import CHECKOUT

EXAMPLES = CHECKOUT / "examples"
WITH_A_SERVICE = {
    "receive_and_verify": "verified invoice.paid {'invoice': 1}\nrefused a forged message with 400\n",
    "recover_after_outage": (
        "20 messages failed\nendpoint.recover finished {'messagesSent': 20}\n20 messages delivered\n"
    ),
    "broadcast": "message.broadcast finished 3 messages created\n3 messages delivered\n",
}


def output_of(name: str, **names: str) -> str:
    ran = subprocess.run(
        [sys.executable, f"{name}.py"],
        cwd=EXAMPLES,
        env={**live.environment({}), **names},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", WITH_A_SERVICE)
def test_an_example_prints_the_promised_output(name: str, database_url: str, tmp_path: Path) -> None:
    # Without retries only the recovery resends failed messages.
    with live.serving(database_url, tmp_path, retry_schedule="[]") as server:
        printed = output_of(name, TIDINGS_URL=server.url, TIDINGS_TOKEN=server.token)

    assert WITH_A_SERVICE[name] == printed


def test_two_nodes_lose_nothing_when_one_is_killed(postgres_dsn: str) -> None:
    printed = output_of("two_nodes_postgresql", TIDINGS_DB_DSN=postgres_dsn)

    assert "killed the first node after 50 messages\n100 messages delivered\n" == printed


def test_the_readme_lists_each_program() -> None:
    text = (EXAMPLES / "README.md").read_text()

    missing = [path.name for path in sorted(EXAMPLES.glob("*.py")) if f"({path.name})" not in text]

    assert [] == missing
    assert {*WITH_A_SERVICE, "two_nodes_postgresql", "receiver"} == {path.stem for path in EXAMPLES.glob("*.py")}
