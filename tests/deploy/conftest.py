# SPDX-License-Identifier: MIT
"""The wheel, built once, and an environment that has it."""

import fcntl
from pathlib import Path

import pytest

from deploy import packages


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Give the folder with the source distribution and the wheel; all workers share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    with (shared / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "packages/dist").exists():
            packages.built(shared / "packages")
    return shared / "packages/dist"


@pytest.fixture(scope="session")
def commands(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the commands of an environment, outside the checkout, into which the wheel is installed."""
    return packages.environment(tmp_path_factory.mktemp("installed") / "venv", packages.wheel_in(dist))
