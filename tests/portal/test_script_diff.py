# SPDX-License-Identifier: MIT
"""The difference of two scripts: it leads from the one to the other, and is short."""

from hypothesis import given
from hypothesis import strategies as st

from tidings.portal.script_diff import DiffLine, lines_of

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30)


def _shown(before: str, after: str) -> list[str]:
    return [line.sign + line.text for line in lines_of(before, after)]


def test_equal_scripts_have_no_difference() -> None:
    assert [] == lines_of("a\nb", "a\nb\n")


def test_a_changed_line_is_shown_with_those_around_it() -> None:
    before = "\n".join(map(str, range(20)))

    assert ["…", " 7", " 8", " 9", "-10", "+ten", " 11", " 12", " 13", "…"] == _shown(
        before, before.replace("10", "ten")
    )


def test_the_first_and_the_last_line_have_no_gap_beside_them() -> None:
    assert ["-a", "+x", " b", " c", "-d", "+y"] == _shown("a\nb\nc\nd", "x\nb\nc\ny")


def test_a_script_that_grows_or_vanishes() -> None:
    assert ["+a", "+b"] == _shown("", "a\nb")
    assert ["-a", "-b"] == _shown("a\nb", "")


@given(LINES, LINES)
def test_the_lines_that_stay_and_go_are_the_old_script_in_order(old: list[str], new: list[str]) -> None:
    found = lines_of("\n".join(old), "\n".join(new))

    assert _is_part([each.text for each in found if each.sign in "- "], "\n".join(old).splitlines())
    assert _is_part([each.text for each in found if each.sign in "+ "], "\n".join(new).splitlines())
    counts = {sign: sum(each.sign == sign for each in found) for sign in "+-"}
    assert len(new) - len(old) == counts["+"] - counts["-"] or "" in (*old[-1:], *new[-1:])


def _is_part(lines: list[str], whole: list[str]) -> bool:
    """Return whether lines occur in another list in their order."""
    rest = iter(whole)
    return all(line in rest for line in lines)


def test_scripts_of_thousands_of_lines_are_not_compared_with_each_other() -> None:
    old = [f"{number % 7}" for number in range(25_000)]
    new = [f"{number % 11}" for number in range(25_000)]

    found = lines_of("\n".join(["same", *old]), "\n".join(["same", *new, "more"]))

    assert DiffLine("-", "1") in found
    assert len(found) > 40_000
