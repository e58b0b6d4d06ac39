# SPDX-License-Identifier: MIT
"""Sessions that the service signs: their secrets, and texts that are none."""

from dataclasses import replace

import pytest

from tidings.clock import HOUR, ManualClock
from tidings.core.access import TokenSecrets, token_secrets
from tidings.core.idempotency import Idempotency
from tidings.core.notifier import Notifier
from tidings.core.page_sessions import PageSession, PageSessions
from tidings.core.services import Services
from tidings.errors import AppError
from tidings.ids import DEFAULT_ORG
from tidings.model.token import Principal
from tidings.storage.drivers.database import Database
from tidings.tasks.registry import KINDS

PUBLIC: str = "-----BEGIN PUBLIC KEY----- everybody may have this"


async def _require(_caller: Principal) -> None:
    """Accept every key."""


def sessions(db: Database, secrets: TokenSecrets) -> PageSessions:
    clock = ManualClock()
    return PageSessions(secrets, Services(db, clock, Notifier(), Idempotency(db, clock), KINDS), _require, "terms")


def session(made: PageSessions) -> PageSession:
    now = ManualClock().now()
    return PageSession(id="1", org_id=DEFAULT_ORG, issued_at=now, until=now + HOUR, terms=made.terms, is_operator=True)


async def test_a_public_key_alone_makes_no_session(db: Database) -> None:
    secrets = await token_secrets(db, PUBLIC, None)
    own, again = sessions(db, secrets), sessions(db, await token_secrets(db, PUBLIC, None))
    text = own.issue(session(own))

    assert (await again.caller(text)).is_operator
    for other in (replace(secrets, pages=""), replace(secrets, pages="guessed"), replace(secrets, current="x")):
        stranger = sessions(db, other)
        with pytest.raises(AppError):
            await own.caller(stranger.issue(session(stranger)))
        assert stranger.form_key != own.form_key


async def test_another_text_is_no_session(db: Database) -> None:
    made = sessions(db, TokenSecrets("a", pages="b"))

    for text in ("", "session.", "session..", "session.e30.e30", "session.\u00fc.\u00fc", "eyJ.x.y"):
        with pytest.raises(AppError):
            await made.caller(text)
        await made.end(text)


async def test_a_text_is_used_once(db: Database) -> None:
    made = sessions(db, TokenSecrets("a", pages="b"))

    assert [True, False, True] == [await made.use_once(name) for name in ("one", "one", "another")]
