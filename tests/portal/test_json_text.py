# SPDX-License-Identifier: MIT
"""JSON on pages: indented where that is cheap, and bounded whatever it contains."""

import pytest

from tidings.portal.formats import pretty
from tidings.portal.json_text import SHOWN_BYTES, indented


def test_json_is_indented() -> None:
    assert '{\n  "a": [\n    1\n  ]\n}' == pretty('{"a":[1]}')


def test_other_text_is_unchanged() -> None:
    assert ("no json", "", '{"a": NaN}') == (pretty("no json"), pretty(None), pretty('{"a": NaN}'))


@pytest.mark.parametrize("depth", [41, 900, 30_000])
def test_deep_nesting_is_not_indented(depth: int) -> None:
    text = b"[" * depth + b"]" * depth

    assert text.decode() == indented(text)


def test_what_grows_beyond_the_bound_is_cut() -> None:
    wide = b"[" * 40 + b",".join([b"1"] * 20_000) + b"]" * 40

    shown = indented(wide)

    assert shown.endswith("download it to see all")
    assert len(shown) < SHOWN_BYTES + 100


def test_large_text_is_cut() -> None:
    assert len(indented(b"x" * 1_000_000)) < SHOWN_BYTES + 100
