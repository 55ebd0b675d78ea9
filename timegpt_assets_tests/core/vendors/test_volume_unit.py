"""Which unit volume counts: shares, unless somebody says otherwise."""

import polars as pl
import pytest

from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.volume_unit import volume_unit
from timegpt_assets_tests.core.vendors.wall_clocks import Bars


def test_volume_of_nothing_is_another_column_and_lots_are_said(session: Bars) -> None:
    with pytest.raises(Refused, match=r"nowhere above zero.* --columns volume=NAME"):
        volume_unit(session.with_columns(volume=pl.lit(0.0)), said=None)
    lots, _ = volume_unit(session, said=100.0)
    assert lots["volume"].equals(session["volume"] * 100.0)


def traded(*volumes: float | None) -> Bars:
    return pl.DataFrame({"volume": volumes}, schema={"volume": pl.Float64})


def test_the_sentence_says_how_whole_and_how_round_volume_is() -> None:
    seen = volume_unit(traded(100.0, 150.0, 0.0, 2.5, None), said=None)[1]
    assert (seen.answer, seen.evidence) == ("shares", "75% are whole numbers, 25% whole hundreds, 150 at most")
    assert volume_unit(traded(None), said=None)[1].evidence == "0% are whole numbers, 0% whole hundreds, 0 at most"


def test_twenty_rows_without_volume_are_too_many() -> None:
    volume_unit(traded(*[0.0] * 19, None), said=None)
    with pytest.raises(Refused):
        volume_unit(traded(*[0.0] * 20), said=None)
    volume_unit(traded(*[0.0] * 20, 1.0), said=None)


def test_a_unit_of_one_share_is_shares() -> None:
    bars, told = volume_unit(traded(3.0), said=1.0)
    assert (bars["volume"].to_list(), told.answer) == ([3.0], "shares")
    bars, told = volume_unit(traded(3.0), said=2.0)
    assert (bars["volume"].to_list(), told.answer) == ([6.0], "2 shares a unit")
