# SPDX-License-Identifier: MIT
"""A document reads the same values as a parser of the whole text, and parses no more than the paths need."""

import gc
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidings.model.json_document import (
    CONTAINER,
    INDEX_MAX,
    NAMES_MAX,
    NOTHING,
    ROOT,
    JsonDocument,
    Path,
    Unreadable,
    levels_of,
)

NAMES = st.sampled_from(["a", "b", "", "é", 'with "quotes"', "\\", "\U0001f600", "line\nbreak"])
STEPS = st.lists(NAMES | st.integers(0, 3), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
SPACES = st.sampled_from([None, 0, 3])


def path_of(steps: list[str | int]) -> Path:
    path = ROOT
    for step in steps:
        path = path.child(step)
    return path


def walked(value: Any, steps: list[str | int]) -> object:
    for step in steps:
        is_member = isinstance(value, dict) and isinstance(step, str) and step in value
        if not is_member and not (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            return NOTHING
        value = value[step]
    return CONTAINER if isinstance(value, dict | list) else value


@given(VALUES, st.lists(STEPS, min_size=1, max_size=4), st.sampled_from(["ascii", "utf-8"]), SPACES)
@example({"a": [0, {"b": 1.5}]}, [["a", 1, "b"], ["a", 1], ["a"], ["a", 1, "b"]], "utf-8", 3)
def test_each_value_is_that_of_a_whole_parser(
    value: Any, paths: list[list[str | int]], charset: str, indent: int | None
) -> None:
    source = json.dumps(value, ensure_ascii=charset == "ascii", indent=indent).encode()
    document, known = JsonDocument(source), JsonDocument(source, levels_of(map(path_of, paths)))
    for steps in paths:
        found, expected = document.value(path_of(steps)), walked(value, steps)
        assert (found, type(found)) == (expected, type(expected))
        assert (known.value(path_of(steps)), type(found)) == (expected, type(expected))


def test_members_that_no_path_reads_become_no_objects() -> None:
    source = b'{"a":{"b":1,"c":2},' + b",".join(b'"%06x":0' % number for number in range(1_000)) + b"}"
    path = path_of(["a", "b"])
    document = JsonDocument(source, levels_of([path]))

    assert document.value(path) == 1
    assert [len(gc.get_referents(level)) for level in document._levels.values()] == [2, 2]  # noqa: SLF001 - a type, a member
    with pytest.raises(KeyError):
        document.value(path_of(["a", "c"]))


@pytest.mark.parametrize("names", [[str(each) for each in range(NAMES_MAX + 1)], ['with "quotes"'], ["line\nbreak"]])
def test_levels_with_many_or_odd_names_are_parsed_whole(names: list[str]) -> None:
    paths = [path_of([name]) for name in names]

    assert levels_of(paths) == {}
    assert [JsonDocument(json.dumps({names[-1]: 5}).encode(), levels_of(paths)).value(paths[-1])] == [5]


@pytest.mark.parametrize("source", [b'{"a":1,', b'{"a":1} x', b'{"a":1,"\\ud800":2}', b'{"a":1,"b":\xff}'])
def test_a_text_is_unreadable_whatever_is_read_of_it(source: bytes) -> None:
    path = path_of(["a"])
    for document in (JsonDocument(source), JsonDocument(source, levels_of([path]))):
        with pytest.raises(Unreadable):
            document.value(path)


def test_the_last_of_two_members_with_one_name_counts() -> None:
    assert JsonDocument(b'{"a":1,"a":{"b":2}}').value(path_of(["a", "b"])) == 2


def test_items_after_the_greatest_index_have_no_value() -> None:
    document = JsonDocument(json.dumps(list(range(INDEX_MAX + 10))).encode())
    assert document.value(path_of([INDEX_MAX])) == INDEX_MAX
    assert document.value(path_of([0])) == 0


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (b"1e400", float("inf")),
        (b"-1e400", float("-inf")),
        (b"9" * 5_000, float("inf")),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (rb'"\ud800"', "\ud800"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
    ],
)
def test_values_that_the_decoder_refuses_are_read(source: bytes, value: object) -> None:
    assert JsonDocument(b'{"a":%b,"b":2}' % source).value(path_of(["a"])) == value
    assert JsonDocument(b'{"a":%b,"b":2}' % source).value(path_of(["b"])) == 2
    assert JsonDocument(source).value(ROOT) == value


def test_lone_surrogates_in_other_members_have_no_effect() -> None:
    document = JsonDocument(rb'{"n":"\udc00","in":["\ud800",{"a":1}]}')
    assert document.value(path_of(["in", 1, "a"])) == 1


@pytest.mark.parametrize(
    "source", [b"", b" ", b"{", b'{"a":1', b"nope", b'{"a" 1}', b"[1,]", b"[" * 5_000 + b"]" * 5_000, b'"\xff"']
)
@pytest.mark.parametrize("steps", [[], ["a"], [0]])
def test_what_is_no_json_is_unreadable(source: bytes, steps: list[str | int]) -> None:
    document = JsonDocument(source)
    for _ in range(3):  # several filters read one document
        with pytest.raises(Unreadable):
            document.value(path_of(steps))


def test_each_level_is_parsed_once() -> None:
    """The second read of a level needs no source: it is replaced by what no parser accepts."""
    document = JsonDocument(b'{"a":{"b":1,"c":[2,3]},"d":4}')
    assert document.value(path_of(["a", "b"])) == 1
    document._source = b"nothing"  # noqa: SLF001
    again: list[list[str | int]] = [["a", "c", 1], ["d"], ["a", "b"], ["e"]]
    found = [document.value(path_of(steps)) for steps in again]
    assert found == [3, 4, 1, NOTHING]
