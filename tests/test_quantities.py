"""Numbers in words: no rounding to what is not so, and no number that nobody can read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from achievement_collector.derive.quantities import conversion, difference, quantity, share


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1.0, "ratio", "100.0 %"),
        (0.9999, "ratio", "99.99 %"),
        (0.99951, "ratio", "99.951 %"),
        (0.99995, "rate", "99.995 %"),
        (0.999999999, "ratio", "99.9999999 %"),
        (1.0001, "ratio", "100.01 %"),
        (0.995, "ratio", "99.5 %"),
        (0.95, "rate", "95.0 %"),
        (0.345, "ratio", "34.5 %"),
        (0.0994, "ratio", "9.94 %"),
        (0.065, "rate", "6.5 %"),
        (0.00004, "ratio", "0.004 %"),
        (0.00004, "rate", "0.004 %"),
        (-0.9999, "ratio", "-99.99 %"),
        (0.0, "rate", "0.0 %"),
        (12.0, "ratio", "1,200.0 %"),
        (0.25, "s", "250 ms"),
        (99.9, "s", "99.9 s"),
        (119.4, "s", "119 s"),
        (130.0, "s", "2 min 10 s"),
        (-130.0, "s", "-2 min 10 s"),
        (3599.6, "s", "1 h"),
        (5400.0, "s", "1 h 30 min"),
        (86_400.0, "s", "24 h"),
        (864_000.0, "s", "10 days"),
        (900_000_000.0, "ms", "10 days 10 h"),
        (172_799.0, "s", "2 days"),
    ],
)
def test_numbers_are_told_so_that_they_can_be_read(value: float, unit: str, expected: str) -> None:
    assert quantity(value, unit) == expected


@pytest.mark.parametrize(("part", "expected"), [
    (0.345, "34 %"), (0.034, "3.4 %"), (-0.3, "30 %"), (1.0, "100 %"), (0.9999, "99.99 %"), (0.996, "99.6 %"),
    (0.00004, "0.004 %"), (12.3, "1,230 %"), (0.99, "99 %"), (0.0996, "10 %"),
])  # fmt: skip
def test_a_part_of_a_whole_is_never_rounded_to_all_or_nothing(part: float, expected: str) -> None:
    assert share(part) == expected


@given(st.floats(0, 1, exclude_max=True), st.sampled_from(["rate", "ratio"]))
def test_less_than_all_is_never_told_as_all(value: float, unit: str) -> None:
    told = quantity(value, unit)
    assert float(told.removesuffix(" %")) < 100
    assert (float(told.removesuffix(" %")) > 0) == (value > 0)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["s", "ms", "ratio", "rate", "$", "count", "x", "a day"]),
)
def test_any_number_is_short(value: float, unit: str) -> None:
    assert len(quantity(value, unit)) < 40
    assert len(difference(value, unit)) < 40
    assert not re.search(r"nan|inf", quantity(value, unit))


def test_units_of_the_same_kind_are_converted() -> None:
    assert conversion("ms", "s") == 0.001
    assert conversion("%", "ratio") == 0.01
    assert conversion("$", "$") == 1.0
    assert conversion("ms", "ratio") is None
    assert conversion("", "s") is None
