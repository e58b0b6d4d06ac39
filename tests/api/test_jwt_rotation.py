# SPDX-License-Identifier: MIT
"""Two JWT secrets at once: the documented order of steps leaves no node that refuses another node's tokens."""

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tidings.api.auth import Gatekeeper
from tidings.clock import MINUTE, ManualClock
from tidings.core.access import TokenSecrets, issue_operator_token, issue_org_token
from tidings.errors import AppError
from tidings.ids import OrgId
from tidings.settings import ConfigError, Settings


def _pem() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


PAIRS = {"HS256": ("the old secret " * 4, "the new secret " * 4), "EdDSA": (_pem(), _pem())}


def _accepts(gatekeeper: Gatekeeper, token: str) -> bool:
    try:
        return gatekeeper.principal(f"Bearer {token}".encode()).org_id == "org_x"
    except AppError:
        return False


@pytest.mark.parametrize("algorithm", PAIRS)
def test_each_step_of_a_rotation_works_beside_the_one_before(algorithm: str) -> None:
    old, new = PAIRS[algorithm]
    steps = [TokenSecrets(old), TokenSecrets(old, new), TokenSecrets(new, old), TokenSecrets(new)]
    clock = ManualClock()
    nodes = [Gatekeeper(step, clock, algorithm) for step in steps]
    tokens = [issue_org_token(node.signer, OrgId("org_x"), clock.now()) for node in nodes]

    for before, after in pairwise(range(3)):  # nodes of two steps run at the same time
        for node in (nodes[before], nodes[after]):
            assert _accepts(node, tokens[before])
            assert _accepts(node, tokens[after])
    assert [False, False, True, True] == [_accepts(nodes[3], token) for token in tokens]
    assert not _accepts(nodes[0], tokens[2])  # so the new secret has to be known before it signs


@pytest.mark.parametrize("algorithm", PAIRS)
def test_neither_secret_is_a_token(algorithm: str) -> None:
    old, new = PAIRS[algorithm]
    gatekeeper = Gatekeeper(TokenSecrets(new, old), ManualClock(), algorithm)

    for secret in (old, new):
        assert not _accepts(gatekeeper, secret.strip())


def test_both_secrets_must_be_strong_in_prod() -> None:
    strong = "s" * 32
    Settings(environment="prod", jwt_secret=strong, jwt_secret_previous="t" * 32)
    with pytest.raises(ConfigError, match="jwt_secret_previous has 1 bytes"):
        Settings(environment="prod", jwt_secret=strong, jwt_secret_previous="t")


def test_a_token_of_the_command_line_lasts_a_minute_and_needs_the_secret_of_the_database() -> None:
    clock = ManualClock()
    gatekeeper = Gatekeeper(TokenSecrets("s" * 32, "p" * 32, operator="o" * 32), clock)
    token = issue_operator_token("o" * 32, clock.now())

    assert gatekeeper.principal(f"Bearer {token}".encode()).is_operator
    for secret in ("s" * 32, "p" * 32):
        with pytest.raises(AppError):
            gatekeeper.principal(f"Bearer {issue_operator_token(secret, clock.now())}".encode())
    forged = issue_org_token("o" * 32, OrgId("org_x"), clock.now())
    assert not _accepts(gatekeeper, forged)
    clock.advance(MINUTE + 1)
    with pytest.raises(AppError):
        gatekeeper.principal(f"Bearer {token}".encode())
