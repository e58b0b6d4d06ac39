# SPDX-License-Identifier: MIT
"""A sign-in link works once, soon expires, and cannot be guessed from what the process keeps."""

from tidings.clock import ManualClock
from tidings.dev.sign_in import LIFETIME_MS, OneTimeCodes


def test_a_code_works_once() -> None:
    codes = OneTimeCodes(ManualClock())
    first, second = codes.issue(), codes.issue()

    assert [True, False, True] == [codes.redeem(first), codes.redeem(first), codes.redeem(second)]


def test_a_code_expires() -> None:
    clock = ManualClock()
    codes = OneTimeCodes(clock)
    code = codes.issue()
    clock.advance(LIFETIME_MS)

    assert not codes.redeem(code)


def test_an_unknown_code_uses_up_no_other() -> None:
    codes = OneTimeCodes(ManualClock())
    code = codes.issue()

    assert not any(codes.redeem(other) for other in ("", code[:-1], f"{code}x", "\ud83d", "ü"))
    assert codes.redeem(code)


def test_only_the_last_ten_codes_are_pending() -> None:
    codes = OneTimeCodes(ManualClock())
    issued = [codes.issue() for _ in range(11)]

    assert [False, True] == [codes.redeem(issued[0]), codes.redeem(issued[1])]
