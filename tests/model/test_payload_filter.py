# SPDX-License-Identifier: MIT
"""Payload filters: what each operator compares, which paths there are, and what is refused."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.model import payload_filter
from tidings.model.json_document import JsonDocument
from tidings.model.payload_filter import (
    CONDITIONS_MAX,
    DEPTH_MAX,
    FILTER_BYTES_MAX,
    PATH_LENGTH_MAX,
    TEXT_BYTES_MAX,
    VALUES_MAX,
    FilterOperator,
    GivenCondition,
    InvalidPath,
    parse_path,
)

PAYLOAD = json.dumps(
    {
        "n": 5,
        "half": 0.5,
        "text": "beta",
        "yes": True,
        "none": None,
        "list": [{"sku": "A"}, 7],
        "deep": {"a b": {"it's": 1, 'say "hi"': 2, "é": 3, "": 4}},
    }
).encode()


def _matches(path: str, operator: str, value: object, payload: bytes = PAYLOAD) -> bool:
    conditions = [GivenCondition(path, FilterOperator(operator), value)]
    assert payload_filter.faults(conditions) == []
    return payload_filter.build(conditions).matches(JsonDocument(payload))


@pytest.mark.parametrize(
    ("path", "operator", "values", "others"),
    [
        ("$.n", "==", [5, 5.0], [6, "5", True, None]),
        ("$.n", "!=", [6, "5", None, True], [5, 5.0]),
        ("$.n", "<", [6, 5.5], [5, 4, "6"]),
        ("$.n", "<=", [5, 6], [4, "5"]),
        ("$.n", ">", [4, 4.5], [5, 6, "4"]),
        ("$.n", ">=", [5, 4], [6, "4"]),
        ("$.half", "==", [0.5, 5e-1], [0, 1]),
        ("$.text", "==", ["beta"], ["Beta", "bet", 0]),
        ("$.text", "<", ["betb", "c", "é"], ["beta", "alpha", "B", 9]),
        ("$.text", ">=", ["beta", "B", ""], ["c", 0]),
        ("$.yes", "==", [True], [1, "true", False]),
        ("$.yes", "<", [], [5, "z"]),
        ("$.none", "==", [None], [False, 0, ""]),
        ("$.none", "exists", [True], [False]),
        ("$.missing", "exists", [False], [True]),
        ("$.missing", "==", [], [None, 0, "", False]),
        ("$.missing", "!=", [None, 5, "x"], []),
        ("$.missing", "<", [], [5, "z"]),
        ("$.list", "exists", [True], [False]),
        ("$.list", "==", [], [None, "", 0]),
        ("$.list", "!=", ["x"], []),
        ("$.n", "in", [[1, 5], [5.0]], [[1, "5", True], [None]]),
        ("$.text", "in", [["alpha", "beta"]], [["alpha"]]),
        ("$.missing", "in", [], [[None]]),
        ("$.none", "in", [[0, None]], [[0]]),
        ("$", "exists", [True], [False]),
    ],
)
def test_an_operator_compares_values_and_types(
    path: str, operator: str, values: Sequence[object], others: Sequence[object]
) -> None:
    assert [each for each in values if not _matches(path, operator, each)] == []
    assert [each for each in others if _matches(path, operator, each)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.list[0].sku", "A"),
        ("$['list'][1]", 7),
        ('$["list"][0]["sku"]', "A"),
        ("$.deep['a b'][\"it's\"]", 1),
        ("$.deep['a b']['say \"hi\"']", 2),
        ("$.deep['a b'].é", 3),
        ("$.deep['a b']['']", 4),
    ],
)
def test_a_path_has_names_and_indexes(path: str, value: object) -> None:
    assert _matches(path, "==", value)


@pytest.mark.parametrize(
    "path", ["$.list.sku", "$.list['0']", "$.n[0]", "$.n.a", "$.list[2]", "$.deep[0]", "$.text[0]"]
)
def test_a_name_is_of_an_object_and_an_index_of_a_list(path: str) -> None:
    assert _matches(path, "exists", value=False)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "n",
            ".n",
            "$n",
            "$.",
            "$..n",
            "$.*",
            "$[*]",
            "$[-1]",
            "$[01]",
            "$[256]",
            "$[99999999999]",
            "$[0:2]",
            "$ .n",
        ),
        *(
            "$.a-b",
            "$.1",
            "$['a]",
            "$['a'",
            "$['a\\n']",
            "$['a\nb']",
            "$[?@.a]",
            "$.n ",
            "$['a''b']",
            '$[""b"]',
            "$.a\0",
        ),
        "$" + ".a" * (DEPTH_MAX + 1),
        "$" + ".a" * 1_000,
        "$['" + "a" * PATH_LENGTH_MAX + "']",
    ],
)
def test_another_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidPath):
        parse_path(path)
    assert [(0, "path")] == [(each.index, each.member) for each in _faults(path=path)]


def _faults(
    path: str = "$.a", operator: FilterOperator = FilterOperator.EQUAL, value: object = 1
) -> list[payload_filter.ConditionFault]:
    return payload_filter.faults([GivenCondition(path, operator, value)])


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("==", [1]),
        ("==", {"a": 1}),
        ("!=", []),
        ("==", "x" * (TEXT_BYTES_MAX + 1)),
        ("==", "é" * (TEXT_BYTES_MAX // 2 + 1)),
        ("==", "\ud800"),
        ("==", float("nan")),
        ("==", float("inf")),
        ("==", 10**309),
        ("<", None),
        ("<", True),
        (">=", [1]),
        ("in", 1),
        ("in", "abc"),
        ("in", []),
        ("in", [1] * (VALUES_MAX + 1)),
        ("in", [[1]]),
        ("in", ["x" * (TEXT_BYTES_MAX + 1)]),
        ("exists", None),
        ("exists", 1),
        ("exists", "true"),
    ],
)
def test_a_value_that_the_operator_cannot_use_is_refused(operator: str, value: object) -> None:
    found = _faults(operator=FilterOperator(operator), value=value)
    assert [(each.index, each.member) for each in found] == [(0, "value")]


def test_the_greatest_values_are_allowed() -> None:
    assert _faults(path="$" + ".a" * DEPTH_MAX) == []
    assert _faults(path="$['" + "a" * (PATH_LENGTH_MAX - 5) + "']") == []
    assert _faults(value="x" * TEXT_BYTES_MAX) == []
    assert _faults(operator=FilterOperator.IN, value=[1.5] * VALUES_MAX) == []
    assert payload_filter.faults([GivenCondition("$.a", FilterOperator.EQUAL, 1)] * CONDITIONS_MAX) == []


@pytest.mark.parametrize("count", [0, CONDITIONS_MAX + 1, 10_000])
def test_a_filter_has_a_bounded_number_of_conditions(count: int) -> None:
    found = payload_filter.faults([GivenCondition("$.a", FilterOperator.EQUAL, 1)] * count)
    assert [(each.index, each.member) for each in found] == [(None, "")]


def test_a_filter_has_a_bounded_size() -> None:
    text = "x" * TEXT_BYTES_MAX
    few = [GivenCondition("$.a", FilterOperator.EQUAL, text)] * (FILTER_BYTES_MAX // TEXT_BYTES_MAX)
    assert payload_filter.faults(few[1:]) == []
    assert [each.index for each in payload_filter.faults(few)] == [None]


def test_every_condition_must_hold() -> None:
    both = [GivenCondition("$.n", FilterOperator.EQUAL, 5), GivenCondition("$.text", FilterOperator.EQUAL, "beta")]
    assert payload_filter.build(both).matches(JsonDocument(PAYLOAD))
    for place in range(2):
        one_wrong = [*both]
        one_wrong[place] = GivenCondition(both[place].path, FilterOperator.EQUAL, "other")
        assert not payload_filter.build(one_wrong).matches(JsonDocument(PAYLOAD))


@pytest.mark.parametrize("payload", [b"", b"{", b"nope", b"[" * 5_000 + b"]" * 5_000])
@pytest.mark.parametrize(("operator", "value"), [("!=", 1), ("exists", False), ("exists", True)])
def test_a_payload_that_cannot_be_parsed_matches_no_filter(payload: bytes, operator: str, value: object) -> None:
    """Not even a filter whose condition holds for a payload without the path."""
    for path in ("$.a", "$"):
        assert not _matches(path, operator, value, payload)
        built = payload_filter.build([GivenCondition(path, FilterOperator(operator), value)])
        assert built.why_not(JsonDocument(payload)) == "The payload cannot be parsed."


def test_the_reason_names_the_first_condition_that_does_not_hold_and_no_value_of_the_payload() -> None:
    def why(path: str, operator: FilterOperator, value: object) -> str | None:
        first = GivenCondition("$.n", FilterOperator.EQUAL, 5)
        return payload_filter.build([first, GivenCondition(path, operator, value)]).why_not(JsonDocument(PAYLOAD))

    assert why("$.text", FilterOperator.EQUAL, "beta") is None
    assert why("$.half", FilterOperator.IN, [1, "x"]) == (
        'The condition $.half in [1, "x"] does not hold: the payload has another value at the path.'
    )
    assert why("$.a", FilterOperator.LESS, 1) == (
        "The condition $.a < 1 does not hold: the payload has no value at the path."
    )
    assert why("$.list", FilterOperator.EQUAL, 1) == (
        "The condition $.list == 1 does not hold: the payload has an object or a list at the path."
    )
    assert why("$.list", FilterOperator.EXISTS, value=False) == (
        "The condition $.list does not exist does not hold: the payload has a value at the path."
    )
    long = why("$.n", FilterOperator.EQUAL, "x" * 1_000)
    assert long is not None
    assert len(long) < 400


@pytest.mark.parametrize(
    "text",
    ['[{"path":"$.a","operator":"~=","value":1}]', '[{"path":"$.a[-1]","operator":"==","value":1}]', "{", "[{}]"],
)
def test_a_filter_of_a_later_release_matches_nothing_and_stays_as_it_is(text: str) -> None:
    found = payload_filter.stored(text)
    assert not found.matches(JsonDocument(b'{"a":1}'))
    assert found.why_not(JsonDocument(b"{}")) == "This release cannot read the filter."
    assert found.text == text


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text("ab", max_size=2)


@given(SCALARS, SCALARS)
def test_the_comparisons_agree_with_each_other(found: object, value: object) -> None:
    """`!=` is the opposite of `==`; two of one type have one order; `in` is `==` with one of the values."""
    payload = json.dumps({"a": found}).encode()
    equal = _matches("$.a", "==", value, payload)
    assert _matches("$.a", "!=", value, payload) is not equal
    assert _matches("$.a", "in", [value], payload) is equal
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        less, greater = _matches("$.a", "<", value, payload), _matches("$.a", ">", value, payload)
        assert less + greater + equal <= 1
        assert _matches("$.a", "<=", value, payload) is (less or equal)
        assert _matches("$.a", ">=", value, payload) is (greater or equal)


@given(st.lists(st.tuples(st.sampled_from(["$.a", "$['é']", "$[0]"]), SCALARS), min_size=1, max_size=4))
def test_a_stored_filter_has_the_same_conditions(conditions: list[tuple[str, object]]) -> None:
    given_conditions = [GivenCondition(path, FilterOperator.EQUAL, value) for path, value in conditions]
    built = payload_filter.build(given_conditions)
    assert payload_filter.stored(built.text).given() == given_conditions
