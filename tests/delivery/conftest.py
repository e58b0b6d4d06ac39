# SPDX-License-Identifier: MIT
"""Fixtures for the tests of delivery."""

import pytest

from delivery.authority import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give a certificate authority."""
    return Authority.made(tmp_path_factory.mktemp("tls"))
