"""Markets of most volume and open interest are forecast; what is not told makes nobody first or last by chance."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core.tables.tsfm import MARKETS
from timegpt_assets.core.tsfm.selection import SelectionSpec, selection
from timegpt_assets_tests.core.tsfm.market_rows import SEGMENTS, at, market, markets

SPEC = SelectionSpec(top_n=2, weight_volume=0.6, weight_open_interest=0.4)


def chosen(*rows: Any, spec: SelectionSpec = SPEC) -> list[tuple[str, bool]]:
    """Return (market, selected) by rank."""
    return selection(markets(*rows), spec, SEGMENTS).sort("rank").select("market_id", "selected").rows()


def test_the_score_is_the_weighted_z_of_both() -> None:
    volumes, interests = [1e3, 5e4, 2e5], [9e5, 0.0, 3e5]
    found = selection(
        markets(*(market(n, volume_24h=v, open_interest=o) for n, v, o in zip("abc", volumes, interests, strict=True))),
        SPEC,
        SEGMENTS,
    )
    z = [(np.array(x) - np.mean(x)) / np.std(x) for x in (volumes, interests)]
    assert found["score"].to_list() == pytest.approx(0.6 * z[0] + 0.4 * z[1])
    assert found.sort("rank")["market_id"].to_list() == ["c", "a", "b"]
    assert found.sort("rank")["selected"].to_list() == [True, True, False]
    assert found["liquidity_bucket"].to_list() == ["MID", "HIGH", "HIGH"]


def test_ties_go_by_the_market_s_name_whatever_the_order() -> None:
    told = markets(*(market(name, volume_24h=7.3) for name in ("m9", "m10", "a", "b")))
    for frame in (told, told.reverse(), told.sample(fraction=1.0, shuffle=True, seed=1)):
        ranked = selection(frame, SPEC, SEGMENTS).sort("rank")
        assert ranked["market_id"].to_list() == ["a", "b", "m10", "m9"]
        assert ranked["selected"].to_list() == [True, True, False, False]


@pytest.mark.parametrize(("volume", "count"), [(0.1, 3), (7.3, 9), (5e3, 2)])
def test_equal_volumes_score_nothing_though_their_mean_is_not_exact(volume: float, count: int) -> None:
    found = selection(markets(*(market(f"{i}", volume_24h=volume) for i in range(count))), SPEC, SEGMENTS)
    assert found["score"].to_list() == [0.0] * count


def test_what_is_not_told_scores_as_an_average() -> None:
    rows = [market("high", volume_24h=9e4), market("low", volume_24h=10.0), market("silent")]
    assert [name for name, _ in chosen(*rows)] == ["high", "silent", "low"]
    assert [name for name, _ in chosen(*(market(n) for n in "ba"))] == ["a", "b"]


def test_only_what_is_traded_and_not_over_comes_into_question() -> None:
    rows = [
        market("closed", active=False),
        market("over", end_ts=at(0)),
        market("resolved", resolved_yes=True),
        market("open", end_ts=at(1)),
        market("endless"),
    ]
    assert [name for name, _ in chosen(*rows)] == ["endless", "open"]
    assert selection(MARKETS.empty(), SPEC, SEGMENTS).is_empty()


def test_each_cycle_is_ranked_by_itself() -> None:
    rows = [
        market(n, minutes=m, volume_24h=v)
        for m, vs in ((0, (1, 2, 3)), (5, (3, 2, 1)))
        for n, v in zip("abc", vs, strict=True)
    ]
    both = selection(markets(*rows), SPEC, SEGMENTS)
    apart = pl.concat([selection(markets(*rows[i : i + 3]), SPEC, SEGMENTS) for i in (0, 3)])
    assert_frame_equal(both, apart)
    assert both.filter(pl.col("rank") == 1)["market_id"].to_list() == ["c", "a"]


def test_ten_thousand_markets_are_ranked_at_once_and_the_same_in_any_order() -> None:
    chance = np.random.default_rng(7)
    frame = pl.concat([markets(market())] * 10_000).with_columns(
        market_id=pl.Series([f"m{i}" for i in range(10_000)]),
        volume_24h=pl.Series(np.round(chance.lognormal(8, 3, 10_000))),
        open_interest=pl.Series(np.round(chance.lognormal(9, 2, 10_000))),
    )
    spec = SelectionSpec(top_n=200, weight_volume=0.6, weight_open_interest=0.4)
    found = selection(frame, spec, SEGMENTS)
    assert found["selected"].sum() == 200
    assert found["rank"].sort().to_list() == list(range(1, 10_001))
    assert_frame_equal(selection(frame.sample(fraction=1.0, shuffle=True, seed=3), spec, SEGMENTS), found)
