# SPDX-License-Identifier: MIT
"""YAML text becomes JSON values, and a small text never becomes a large value."""

import json
import math
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are another package
from hypothesis import given
from hypothesis import strategies as st

from tidings.model.yaml_text import DEPTH_MAX, YamlError, parsed, written

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
PLAIN: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_as_json(value: object) -> None:
    assert value == parsed(json.dumps(value))


@given(PLAIN)
def test_what_a_yaml_library_writes_is_read_back(value: object) -> None:
    # Its YAML 1.1 quotes whatever the core schema of 1.2 would not read as a text.
    assert value == parsed(yaml.safe_dump(value))


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    text = written(value)

    assert json.dumps(value) == json.dumps(parsed(text))  # 1, 1.0 and true differ


@pytest.mark.parametrize(
    "text", ["yes", "1e3", "0o17", "0x1", "~", "null", "No", "12:30", "2001-01-01", "=", "<<", "a b"]
)
def test_a_text_that_may_be_misread_has_quotes(text: str) -> None:
    assert f'"{text}": "{text}"\n' == written({text: text})


def test_a_script_is_written_as_a_block() -> None:
    assert "code: |\n  a {\n    b\n  }\n" == written({"code": "a {\n  b\n}\n"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", {"a": "yes"}),
        ("a: off", {"a": "off"}),
        ("a: 2001-01-01", {"a": "2001-01-01"}),
        ("a: 12:30:45", {"a": "12:30:45"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 017", {"a": 17}),
        ("a: 0o17", {"a": 15}),
        ("a: 0x1F", {"a": 31}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: .5", {"a": 0.5}),
        ("a:", {"a": None}),
        ("200: ok\ntrue: x", {"200": "ok", "true": "x"}),
        ("a: !!str 12", {"a": "12"}),
        ("a: !!int '12'", {"a": 12}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("'<<': 1", {"<<": 1}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("a: " + "9" * 30, {"a": int("9" * 30)}),
        ("a: " + "9" * 5_000, {"a": "9" * 5_000}),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    found = parsed(text)

    assert value == found
    assert json.dumps(value) == json.dumps(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the text is empty"),
        ("# only a comment", "the text is empty"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("a: [1, 2", "line 2, column 1"),
        ('{"a": 1,', "line 2"),
        ("a: b: c", "line 1, column 5"),
        ("a: 1\na: 2", "line 2, column 1: the key `a` occurs twice"),
        ("a: *nothing", "unknown"),
        ("a: &x [*x]", "inside of the node"),
        ("a: &x {b: {c: *x}}", "inside of the node"),
        ("a: &x {b: 1}\nc: {<<: *x}", "merge keys"),
        ("? [1]\n: 2", "a key must be a text"),
        ("a: &x k\n*x : 2", "a key must be a text"),
        ("a: !!python/object/apply:os.system ['true']", "is not one of JSON"),
        ("a: !!timestamp 2001-01-01", "is not one of JSON"),
        ("a: !!binary aGk=", "is not one of JSON"),
        ("a: !mine {}", "is not one of JSON"),
        ("a: .inf", "not a number of JSON"),
        ("a: .nan", "not a number of JSON"),
        ("a: 1e999", "not a number of JSON"),
        ("a: \x01", "control characters"),
        ('a: "\\ud800"', "invalid Unicode"),
        ("a: \ud800", "lone surrogate"),
        ("[" * (DEPTH_MAX + 1), "levels of nesting"),
        ("[" * 100_000, "levels of nesting"),
        ("a:\n" + "".join(" " * (n + 1) + "a:\n" for n in range(DEPTH_MAX + 1)), "levels of nesting"),
    ],
)
def test_another_text_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(YamlError, match=words.replace("`", ".")):
        parsed(text)


def test_aliases_do_not_make_a_small_text_large() -> None:
    """Nine levels of nine aliases each stand for 387 million texts."""
    lines = ["a0: &a0 [" + ", ".join(["lol"] * 9) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 10)]

    with pytest.raises(YamlError, match="expands to more than 8 MiB"):
        parsed("\n".join(lines))
    with pytest.raises(YamlError, match="expands to more than 8 MiB"):
        parsed("a: &a " + "x" * 100_000 + "\nb: [" + ", ".join(["*a"] * 100) + "]")


def test_aliases_do_not_make_a_flat_text_deep() -> None:
    lines = ["a0: &a0 []", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, DEPTH_MAX + 2))]

    assert "a50" in parsed("\n".join(lines[:51]))  # type: ignore[operator]
    with pytest.raises(YamlError, match="levels of nesting"):
        parsed("\n".join(lines))


@given(st.text(alphabet="{}[]:,&*!|>'\"#%@`ab10-?\n \t<~.", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parsed(text)
    except YamlError:
        return
    assert not isinstance(found, float) or math.isfinite(found)
    json.dumps(found, allow_nan=False)
