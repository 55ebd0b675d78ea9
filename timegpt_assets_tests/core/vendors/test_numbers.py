"""Prices and volumes as vendors write them become numbers, or are counted unreadable, or asked about."""

import polars as pl
import pytest

from timegpt_assets.core.bars.vendor_columns import NUMBERS, PRICES
from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.numbers import Decimal, numbers

COLUMNS = {name: (name,) for name in NUMBERS}
Cells = list[str | None]


def read(
    prices: Cells, volumes: Cells, said: Decimal | None = None
) -> tuple[list[float | None], list[float | None], str]:
    """Return prices, volumes and the first finding's answer and evidence; every price column holds the same."""
    cells = pl.DataFrame(dict.fromkeys(PRICES, prices) | {"volume": volumes}, schema=dict.fromkeys(NUMBERS, pl.String))
    values, _, found = numbers(cells, COLUMNS, said)
    return values["close"].to_list(), values["volume"].to_list(), str(found[0]) if found else ""


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("141.04", 141.04), ("$141.04", 141.04), ("141.04 USD", 141.04), ("1'000.5", 1000.5), ("1e2", 100.0),
        ("2.5K", 2500.0), ("2.5m", 2.5e6), ("1B", 1e9), ("-3", -3.0), ("", None), ("N/A", None), ("nan", None),
        ("x", None), ("1.2.3", None), ("2.5T", None), ("K", None),
    ],
)  # fmt: skip
def test_a_number_with_a_point(written: str, value: float | None) -> None:
    assert read([written, "7.5"], ["1", "2"])[0] == [value, 7.5]


def test_what_is_missing_is_not_unreadable_and_what_is_no_number_is() -> None:
    cells = pl.DataFrame({key: ["-", "1.5", "abc", None, "-1.5"] for key in NUMBERS})
    _, unreadable, _ = numbers(cells, COLUMNS, None)
    assert unreadable["close"].to_list() == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("prices", "volumes", "close", "volume", "why"),
    [
        (["1,234.5", "9.5"], ["1", "2"], [1234.5, 9.5], [1.0, 2.0], "behind a point; 1,234.5 has it last"),
        (["1.234,5", "9,5"], ["1", "2"], [1234.5, 9.5], [1.0, 2.0], "behind a comma; 1.234,5 has it last"),
        (["10,5", "9,5"], ["1", "2"], [10.5, 9.5], [1.0, 2.0], "behind a comma; 10,5 is no group of thousands"),
        (["10.5", "9.5"], ["1,234", "2"], [10.5, 9.5], [1234.0, 2.0], "behind a point; prices have one, the commas of"),
        (["10", "9"], ["1.234.567", "2"], [10.0, 9.0], [1234567.0, 2.0], "the points of 1.234.567 group thousands"),
        (["10.5", "9"], ["1.234", "2"], [10.5, 9.0], [1.234, 2.0], ""),
    ],
)  # fmt: skip
def test_the_sign_before_fractions_is_told_by_all_columns_together(
    prices: Cells, volumes: Cells, close: list[float], volume: list[float], why: str
) -> None:
    found = read(prices, volumes)
    assert found[:2] == (close, volume)
    assert why in found[2]
    assert bool(why) == bool(found[2])


def test_signs_that_could_change_places_are_asked_about_and_a_word_settles_them() -> None:
    with pytest.raises(Refused, match=r"1,234 can be either"):
        read(["1,234", "9,500"], ["1", "2"])
    with pytest.raises(Refused, match=r"1,234 can be either"):
        read(["10", "9"], ["1,234", "2"])
    with pytest.raises(Refused, match=r"both signs in both orders"):
        read(["1,234.5", "1.234,5"], ["1", "2"])
    assert read(["1,234", "9,500"], ["1", "2"], "comma")[0] == [1.234, 9.5]
    assert read(["1,234", "9,500"], ["1", "2"], "point")[0] == [1234.0, 9500.0]
    assert read(["1.234", "9.500"], ["1", "2"], "comma")[0] == [1234.0, 9500.0]


def test_columns_of_one_role_are_added_and_unreadable_together() -> None:
    cells = pl.DataFrame({key: [1.5, float("nan")] for key in PRICES} | {"up": ["1", "x"], "down": ["2", "3"]})
    values, unreadable, _ = numbers(cells, COLUMNS | {"volume": ("up", "down")}, None)
    assert values["volume"].to_list() == [3.0, None]
    assert values["close"].to_list() == [1.5, None]
    assert unreadable["volume"].to_list() == [False, True]


def test_a_typed_column_that_holds_no_numbers_is_refused() -> None:
    with pytest.raises(Refused, match="Write numbers in it"):
        numbers(pl.DataFrame({key: [True] for key in NUMBERS}), COLUMNS, None)
