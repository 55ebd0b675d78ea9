"""Pictures by their structure: what is drawn, from which numbers, and that rendering is deterministic and small."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from functools import cache
from typing import Any

import altair as alt
import polars as pl
import pytest

from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.bars import BARS, QUALITY
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.evaluation import COVERAGE_DRIFT, FORECAST_DIAGNOSTICS, INTERVAL_WIDTHS, PIT_RELIABILITY
from timegpt_assets.core.tables.gates import GATES
from timegpt_assets.core.tables.models import FEATURE_DRIFT, MODEL_REPORT
from timegpt_assets.reports.ladder import IMPORTANCE
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures.comparison import losses
from timegpt_assets.reports.pictures.coverage import coverage, reliability
from timegpt_assets.reports.pictures.day_bars import blamed, day_bars
from timegpt_assets.reports.pictures.equity import depths, equity
from timegpt_assets.reports.pictures.fan import MOST_PANELS, fan
from timegpt_assets.reports.pictures.gates import judged, lights, strip
from timegpt_assets.reports.pictures.intervals import drift, histogram, widths
from timegpt_assets.reports.pictures.ladder import feature_drift, importance, rollout, rungs
from timegpt_assets.reports.pictures.news import sources, worth
from timegpt_assets.reports.pictures.pixels import COLOURS, PngError, packed
from timegpt_assets.reports.pictures.pnl import cumulative, dollars, pnl
from timegpt_assets.reports.pictures.quality import quality
from timegpt_assets.reports.pictures.style import Picture
from timegpt_assets.reports.pictures.trades import levels, trades
from timegpt_assets.reports.pictures.waterfall import steps, waterfall
from timegpt_assets_tests.core.house_rules import RULES
from timegpt_assets_tests.reports.pictures import frames, ladders, newsrooms

SYMBOLS = ["AAPL", "AMD", "AMZN", "GOOGL", "META", "MSFT", "NFLX", "NVDA", "TSLA"]
DAYS = frames.sessions(12)
TRAILING = replace(RULES, s_trail=0.5)
HOSTILE = "<script>alert('x')</script>&\"]("

DRAWN: dict[str, Callable[[], Picture]] = {
    "fan": lambda: fan(
        _forecasts(), _bars(), frames.portfolio(SYMBOLS, [frames.DAY]), day=frames.DAY, symbols={"MSFT"}
    ),
    "fans": lambda: fan(_forecasts(), _bars(), frames.portfolio(SYMBOLS, DAYS), day=frames.DAY),
    "coverage": lambda: coverage(frames.diagnostics(SYMBOLS)),
    "reliability": lambda: reliability(frames.reliability()),
    "histogram": lambda: histogram(frames.reliability()),
    "drift": lambda: drift(frames.drift()),
    "widths": lambda: widths(frames.widths()),
    "pnl": lambda: pnl(frames.portfolio(SYMBOLS, DAYS), days=DAYS),
    "waterfall": lambda: waterfall(frames.portfolio(SYMBOLS, DAYS)),
    "trades": lambda: trades(frames.portfolio(["MSFT"], DAYS), _bars(), rules=TRAILING, day=frames.DAY, symbol="MSFT"),
    "quality": lambda: quality(frames.quality(SYMBOLS, DAYS)),
    "quality of a large universe": lambda: quality(
        frames.quality([f"S{n:02d}" for n in range(64)], frames.sessions(44))
    ),
    "day": lambda: day_bars(_holed(), day=frames.DAY, symbol="MSFT", verdict="warned", offending=BLAMED),
    "gates": lambda: strip(frames.gates(SYMBOLS)),
    "lights": lambda: lights(pl.concat([frames.gates(SYMBOLS, "2024-02"), frames.gates(SYMBOLS)])),
    "losses": lambda: losses(frames.comparison(), champion="timegpt"),
    "equity": lambda: equity(frames.books(SYMBOLS, DAYS), days=DAYS, seats=["timegpt", "size"]),
    "sources": lambda: sources(newsrooms.health(), success_min=0.95, publish_to_ingest_p95_s=120.0),
    "worth": lambda: worth(newsrooms.value()),
    "rungs": lambda: rungs(ladders.ladder_report()),
    "feature drift": lambda: feature_drift(ladders.feature_drift()),
    "importance": lambda: importance(ladders.importance()),
    "rollout": lambda: rollout(
        [(frames.opened(day), "lightgbm", 10) for day in DAYS[:2]], until=frames.opened(DAYS[3])
    ),
}
EMPTY: dict[str, Callable[[], Picture]] = {
    "fan": lambda: fan(FORECASTS.empty(), BARS.empty(), PORTFOLIO.empty(), day=frames.DAY),
    "coverage": lambda: coverage(FORECAST_DIAGNOSTICS.empty()),
    "reliability": lambda: reliability(PIT_RELIABILITY.empty()),
    "histogram": lambda: histogram(PIT_RELIABILITY.empty()),
    "drift": lambda: drift(COVERAGE_DRIFT.empty()),
    "widths": lambda: widths(INTERVAL_WIDTHS.empty()),
    "pnl": lambda: pnl(PORTFOLIO.empty(), days=[]),
    "equity": lambda: equity(PORTFOLIO.empty(), days=[], seats=[]),
    "waterfall": lambda: waterfall(PORTFOLIO.empty()),
    "trades": lambda: trades(PORTFOLIO.empty(), BARS.empty(), rules=TRAILING, day=frames.DAY, symbol="MSFT"),
    "quality": lambda: quality(QUALITY.empty()),
    "day": lambda: day_bars(BARS.empty(), day=frames.DAY, symbol="MSFT"),
    "gates": lambda: strip(GATES.empty()),
    "lights": lambda: lights(GATES.empty()),
    "rungs": lambda: rungs(MODEL_REPORT.empty()),
    "feature drift": lambda: feature_drift(FEATURE_DRIFT.empty()),
    "importance": lambda: importance(pl.DataFrame(schema=IMPORTANCE)),
    "rollout": lambda: rollout([], until=frames.opened(frames.DAY)),
}


@cache
def _forecasts() -> pl.DataFrame:
    return frames.forecasts(SYMBOLS)


BLAMED = json.dumps([
    {"rule": rule, "row": row, "ts": f"{frames.opened(frames.DAY) + timedelta(minutes=row):%Y-%m-%dT%H:%M:%SZ}"}
    for rule, row in (("outliers", 100), ("outliers", 101), ("duplicates", 200))
])  # fmt: skip


def _holed() -> pl.DataFrame:
    """Return bars of which every tenth minute from the 50th to the 99th is filled."""
    minute = (pl.col("ts") - frames.opened(frames.DAY)).dt.total_minutes()
    return _bars().with_columns(is_filled=minute.is_between(50, 99) & (minute % 10 == 0))


@cache
def _bars() -> pl.DataFrame:
    return frames.bars(SYMBOLS)


def _data(layer: dict[str, Any], spec: dict[str, Any]) -> list[dict[str, Any]]:
    return spec["datasets"][layer.get("data", spec.get("data"))["name"]]


def _marks(spec: dict[str, Any]) -> list[str]:
    return [layer["mark"]["type"] for layer in spec["layer"]]


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_frame_gives_the_same_bytes_twice(name: str) -> None:
    assert render.png(DRAWN[name]()) == render.png(DRAWN[name]())
    assert render.svg(DRAWN[name]()) == render.svg(DRAWN[name]())


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_fits_a_metadata_entry(name: str) -> None:
    text = render.note("a [picture]", DRAWN[name])
    assert text.startswith("![a \\[picture\\]](data:image/png;base64,iVBOR")
    assert 2_000 < len(text) <= render.MARKDOWN_LIMIT


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_frame_gives_a_picture_that_says_so(name: str) -> None:
    assert ">no rows<" in render.svg(EMPTY[name]())
    assert render.png(EMPTY[name]()).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_fetches_nothing_and_carries_its_font_and_title(name: str) -> None:
    svg = render.svg(DRAWN[name]())
    assert not re.search(r"href|<script|url\(", svg)
    assert set(re.findall(r"https?://[^\"]+", svg)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "Liberation Sans" in svg


def test_a_wedge_opens_at_the_clock_price_of_its_snapshot_and_ends_at_its_band() -> None:
    forecasts, walk = _forecasts(), frames.prices("MSFT")
    spec = render.spec(fan(forecasts, _bars(), day=frames.DAY, symbols=["MSFT"]))
    assert _marks(spec) == ["area", "line", "line", "point"]
    rows = _data(spec["layer"][0], spec)
    assert len(rows) == 2 * 3 * len(frames.SNAPSHOTS)
    assert [row["band"] for row in rows[::10]] == ["95 %", "80 %", "50 %"]
    first = forecasts.filter(pl.col("symbol") == "MSFT").row(0, named=True)
    start, end = (row for row in rows if row["band"] == "80 %" and row["snapshot"].startswith("2024-03-14T10:00"))
    anchor = 1e4 * math.log(walk[30] / walk[0])
    assert start["lo"] == start["hi"] == pytest.approx(anchor)
    assert (end["lo"], end["hi"]) == pytest.approx((anchor + 1e4 * first["q10"], anchor + 1e4 * first["q90"]))
    assert end["at"].startswith("2024-03-14T10:15")


def test_outcomes_are_points_on_the_path_told_apart_by_the_80_percent_band() -> None:
    walk = frames.prices("MSFT")
    forecasts = _forecasts().filter(pl.col("symbol") == "MSFT")
    spec = render.spec(fan(forecasts, _bars(), day=frames.DAY))
    points = _data(spec["layer"][-1], spec)
    ys = [math.log(walk[m + 15] / walk[m]) for m in frames.SNAPSHOTS]
    inside = [lo <= y <= hi for y, lo, hi in zip(ys, forecasts["q10"], forecasts["q90"], strict=True)]
    assert {*inside} == {True, False}, "guard: both kinds of outcome occur"
    assert [p["outcome"] == "inside" for p in points] == inside
    assert [p["bp"] for p in points] == pytest.approx(
        [1e4 * math.log(walk[m + 15] / walk[0]) for m in frames.SNAPSHOTS]
    )
    assert spec["title"]["text"] == f"MSFT on 2024-03-14: {sum(inside)} of 5 outcomes inside the 80 % band"


def test_times_are_new_york_times_winter_and_summer() -> None:
    winter = frames.DAY.replace(month=1)
    shifted = [
        frame.with_columns(pl.col("^(ts|.*_ts|asked_at)$").dt.offset_by("1h"))
        for frame in (frames.forecasts(["MSFT"], winter), frames.bars(["MSFT"], winter))
    ]
    for day, (forecasts, bars) in {frames.DAY: (_forecasts(), _bars()), winter: shifted}.items():
        picture = fan(forecasts, bars, day=day, symbols=["MSFT"])
        spec = render.spec(picture)
        times = [row["at"] for row in _data(spec["layer"][1], spec)]
        assert (times[0], times[-1]) == (f"{day}T09:30:00+0000", f"{day}T16:00:00+0000")
        assert ">10:00<" in render.svg(picture)


def test_at_most_eight_symbols_are_drawn_and_the_others_counted() -> None:
    spec = render.spec(DRAWN["fans"]())
    assert len(spec["concat"]) == MOST_PANELS == len(SYMBOLS) - 1
    assert spec["title"]["subtitle"].endswith("1 further symbols not drawn")


def test_trades_are_marked_at_entry_and_exit_and_only_when_filled() -> None:
    trades = frames.portfolio(["MSFT"], [frames.DAY])
    spec = render.spec(fan(_forecasts(), _bars(), trades, day=frames.DAY, symbols=["MSFT"]))
    marks = _data(spec["layer"][3], spec)
    entry = "long entry" if trades["side"][0] > 0 else "short entry"
    assert [(m["mark"], m["at"][11:16]) for m in marks] == [(entry, "10:31"), ("exit", "10:45")]
    unfilled = trades.with_columns(quantity=pl.lit(0.0))
    assert len(render.spec(fan(_forecasts(), _bars(), unfilled, day=frames.DAY, symbols=["MSFT"]))["layer"]) == 4


def test_forecasts_without_a_known_outcome_or_a_95_percent_band_are_still_drawn() -> None:
    early = _bars().filter(pl.col("ts") < frames.opened(frames.DAY) + timedelta(minutes=150))
    wide = _forecasts().with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("q025", "q975"))
    spec = render.spec(fan(wide, early, day=frames.DAY, symbols=["MSFT"]))
    assert {row["band"] for row in _data(spec["layer"][0], spec)} == {"50 %", "80 %"}
    assert len(_data(spec["layer"][-1], spec)) == 2
    assert " of 2 outcomes" in spec["title"]["text"]


def test_coverage_bars_show_both_stages_against_nominal_lines() -> None:
    spec = render.spec(DRAWN["coverage"]())
    assert _marks(spec) == ["bar", "text", "tick", "rule"]
    for row in _data(spec["layer"][3], spec):
        assert (row["low"], row["high"]) == pytest.approx((row["share"] - 0.02, row["share"] + 0.03))
    shares = {(r["band"], r["stage"]): r["share"] for r in _data(spec["layer"][0], spec)}
    assert shares[("80 %", "raw")] == 0.70
    assert shares[("80 %", "calibrated")] == 0.796
    assert [r["nominal"] for r in _data(spec["layer"][2], spec)] == [0.5, 0.8, 0.95]
    assert spec["title"]["text"] == "The 80 % band held 79.6% of outcomes; before calibration 70.0%"


def test_sources_are_never_mixed_in_one_panel() -> None:
    own = frames.diagnostics([])
    two = pl.concat([own, own.with_columns(score_source=pl.lit("model"), coverage_80=pl.lit(0.5))])
    spec = render.spec(coverage(two))
    assert [panel["title"]["text"] for panel in spec["concat"]] == [
        "baseline / smoke / maintenance_replay",
        "model / smoke / maintenance_replay",
    ]


def test_reliability_draws_the_last_month_against_the_diagonal() -> None:
    spec = render.spec(reliability(pl.concat([frames.reliability("2024-02"), frames.reliability()])))
    assert _marks(spec) == ["line", "line"]
    assert len(_data(spec["layer"][1], spec)) == 14
    assert spec["title"]["text"] == "Quantiles off by at most 1.0%; before calibration 5.0%"


def test_cumulated_profit_is_the_sum_over_admitted_trades_and_flat_on_other_days() -> None:
    portfolio = frames.portfolio(SYMBOLS, DAYS)
    rows = cumulative(portfolio, days=DAYS, multipliers=(1.0, 2.0))
    for multiplier in (1.0, 2.0):
        total, expected = 0.0, []
        for day in DAYS:
            for row in portfolio.filter(pl.col("day") == day, "admitted").iter_rows(named=True):
                total += row["gross_pnl"] - multiplier * row["cost"]
            expected.append(total)
        got = rows.filter(pl.col("multiplier") == multiplier)
        assert got["day"].to_list() == DAYS
        assert got["cumulated"].to_list() == pytest.approx(expected)
        assert got["net"][2] == 0.0 == got["net"][5], "no trade that day"
    assert not portfolio["admitted"].all(), "guard: a refused trade is left out"


def test_sessions_without_any_trade_draw_a_flat_line() -> None:
    spec = render.spec(pnl(PORTFOLIO.empty(), days=DAYS))
    assert {row["cumulated"] for row in _data(spec["layer"][1], spec)} == {0.0}
    assert spec["title"]["text"] == "No admitted trade"


def test_dollars_carry_their_sign() -> None:
    assert [dollars(x) for x in (1234.6, -0.4, 0.0, -1500.0)] == ["+$1,235", "$0", "$0", "-$1,500"]


def test_the_heat_map_has_a_cell_per_day_and_symbol_and_numbers_when_they_fit() -> None:
    few = render.spec(DRAWN["quality"]())
    assert _marks(few) == ["rect", "text", "text"]
    assert len(_data(few["layer"][0], few)) == len(SYMBOLS) * len(DAYS)
    many = render.spec(quality(frames.quality(SYMBOLS, frames.sessions(600))))
    assert _marks(many) == ["rect", "text"]
    assert len(_data(many["layer"][0], many)) == 5_400, "more rows than Altair takes by default"


def test_a_criterion_not_measured_is_too_little_to_judge_not_a_failure() -> None:
    outcomes = dict(judged(frames.gates([])).select("criterion", "outcome").iter_rows())
    assert outcomes == {"pnl_1_5x": "passed", "sharpe_daily": "insufficient", "prod_rows": "failed"}


def test_the_strip_has_a_tile_per_criterion_and_symbol_and_shows_the_worst_of_several_sources() -> None:
    rows = frames.gates(SYMBOLS)
    better = rows.with_columns(score_source=pl.lit("model"), passed=pl.lit(True))
    spec = render.spec(strip(pl.concat([better, rows])))
    tiles = _data(spec["layer"][0], spec)
    assert len(tiles) == rows.height
    assert sum(tile["outcome"] == "failed" for tile in tiles) == rows.filter(~pl.col("passed")).height - 1
    assert spec["title"]["text"] == "22 of 30 criteria passed, 7 failed, 1 with too little to judge"


def test_a_light_per_month_and_criterion_counts_the_symbols_that_passed_and_shows_the_worst() -> None:
    now, then = frames.gates(SYMBOLS), frames.gates(SYMBOLS[:1], "2024-02")
    unknown = then.with_columns(passed=pl.lit(False), reason=pl.lit("insufficient_observation: 3 days, 60 needed"))
    spec = render.spec(lights(pl.concat([unknown, now])))
    shown = {(d["month"], d["criterion"]): (d["outcome"], d["sign"]) for d in _data(spec["layer"][0], spec)}
    assert len(shown) == 2 * now.select("gate", "criterion").n_unique()
    passed = now.filter(criterion="rmae")["passed"].sum()
    assert shown["2024-03", "forecast_gate: rmae"] == ("failed", f"{passed}/{len(SYMBOLS)}")
    assert shown["2024-03", "trading_gate: pnl_1_5x"] == ("passed", "✓")
    assert shown["2024-03", "trading_gate: sharpe_daily"] == ("insufficient", "?")
    assert {outcome for (month, _), outcome in shown.items() if month == "2024-02"} == {("insufficient", "?")}
    assert spec["title"]["text"] == "1 of 6 criteria passed in 2024-03"


def test_symbol_gates_are_judged_by_their_verdict() -> None:
    rows = frames.gates([]).drop("gate", "month", "as_of").with_columns(day=frames.DAY, verdict=pl.lit("ineligible"))
    unknown = rows.with_columns(verdict=pl.lit("insufficient_observation"), passed=pl.lit(False))
    assert set(judged(unknown)["outcome"]) == {"insufficient"}
    assert "2024-03-14" in render.svg(strip(rows))


def test_hostile_names_stay_text() -> None:
    named = {"symbol": pl.lit(HOSTILE), "score_source": pl.lit(HOSTILE)}
    bars = frames.bars(["A"]).with_columns(symbol=pl.lit(HOSTILE))
    pictures = [
        fan(frames.forecasts(["A"]).with_columns(**named), bars, day=frames.DAY),
        quality(frames.quality(["A"], DAYS).with_columns(symbol=pl.lit(HOSTILE))),
        strip(frames.gates(["A"]).with_columns(**named)),
        lights(frames.gates(["A"]).with_columns(score_source=pl.lit(HOSTILE), criterion=pl.lit(HOSTILE))),
    ]
    for picture in pictures:
        assert "<script" not in render.svg(picture)
        assert "&lt;script&gt;" in render.svg(picture)
    assert render.note(HOSTILE, lambda: pictures[1]).startswith("![\\<script\\>")


def test_a_picture_too_large_for_a_note_is_drawn_smaller_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(render.note("fans", DRAWN["fan"]))
    monkeypatch.setattr(render, "MARKDOWN_LIMIT", whole - 1)
    smaller = render.note("fans", DRAWN["fan"])
    assert smaller.startswith("![fans](data:image/png;base64,")
    assert smaller.endswith("Drawn at 70% of its size, to fit here.")
    monkeypatch.setattr(render, "MARKDOWN_LIMIT", 1_000)
    assert render.note("fans", DRAWN["fan"]) == (
        "fans: the picture is too large at any size. Its rows are stored all the same."
    )


def test_a_picture_too_large_for_a_page_is_pixels_and_then_a_sentence() -> None:
    drawn = render.figure("fans", DRAWN["fan"])
    assert '<div class="still"><svg role="img" aria-label="fans: MSFT on' in drawn
    smaller = render.figure("fans", DRAWN["fan"], limit=len(drawn) - 1)
    assert re.search('<div class="still"><img alt="fans: MSFT on[^"]*" src="data:image/png;base64,', smaller)
    assert 'class="notice">fans: the picture is too large' in render.figure("fans", DRAWN["fan"], limit=1_000)


def _broken() -> Picture:
    raise pl.exceptions.ComputeError("planted")


def _panicking() -> Picture:
    raise pl.exceptions.PanicException("planted")


@pytest.mark.parametrize("draw", [_broken, _panicking])
def test_a_picture_that_cannot_be_drawn_is_a_sentence_and_no_failure(
    draw: Callable[[], Picture], caplog: pytest.LogCaptureFixture
) -> None:
    assert "the picture could not be drawn" in render.note("fans", draw)
    assert '<p class="notice">fans: the picture could not be drawn' in render.figure("fans", draw)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "planted" in caplog.text


@pytest.mark.parametrize("days", [1, 5, 250])
def test_the_heat_map_of_five_hundred_symbols_fits_a_note_and_says_what_is_left_out(days: int) -> None:
    symbols = [f"S{n:03}" for n in range(500)]
    report = frames.quality(symbols, frames.sessions(days))
    spec = render.spec(quality(report))
    assert "the 80 of 500 symbols with the fewest usable days" in spec["title"]["subtitle"]
    assert spec["title"]["text"].split(" ")[2] == f"{500 * days:,}", "the title counts every symbol"
    assert len(_data(spec["layer"][0], spec)) == 80 * days
    text = render.note("verdicts", lambda: quality(report))
    assert text.startswith("![verdicts](data:image/png")
    assert len(text) <= render.MARKDOWN_LIMIT


def test_of_many_symbols_the_least_usable_are_drawn() -> None:
    report = frames.quality([f"S{n:03}" for n in range(100)], DAYS).with_columns(
        verdict=pl.when(pl.col("symbol") == "S099").then(pl.lit("quarantined")).otherwise(pl.lit("ok"))
    )
    spec = render.spec(quality(report))
    assert "S099" in {row["symbol"] for row in _data(spec["layer"][0], spec)}


def test_a_packed_picture_keeps_the_colours_of_its_areas() -> None:
    squares = alt.Chart(pl.DataFrame({"x": [0, 1], "c": ["#0072b2", "#d55e00"]})).mark_rect()
    drawn = render.png(squares.encode(x="x:O", color=alt.Color("c:N", scale=None)))
    palette = drawn[drawn.index(b"PLTE") + 4 :][: 3 * COLOURS]
    assert palette[:3] == b"\xff\xff\xff"
    assert b"\x00\x72\xb2" in palette
    assert b"\xd5\x5e\x00" in palette
    with pytest.raises(PngError, match=r"expected RGBA and Sub.*pixels\.py\.$"):
        packed(drawn)


def test_rendering_leaves_altair_as_it_was() -> None:
    before = alt.data_transformers.active, alt.data_transformers.options
    render.spec(DRAWN["gates"]())
    assert (alt.data_transformers.active, alt.data_transformers.options) == before
    assert frames.opened(frames.DAY).tzinfo is UTC


def test_a_day_shades_each_filled_minute_and_points_at_each_blamed_row() -> None:
    spec = render.spec(DRAWN["day"]())
    assert _marks(spec) == ["rect", "rule", "line", "point"]
    filled, ranges, closes, points = (_data(layer, spec) for layer in spec["layer"])
    assert [row["at"][11:16] for row in filled] == ["10:20", "10:30", "10:40", "10:50", "11:00"]
    assert [row["to"][11:16] for row in filled] == ["10:21", "10:31", "10:41", "10:51", "11:01"]
    assert len(ranges) == 385
    assert len(closes) == 390
    walk = frames.prices("MSFT")
    assert [(row["rule"], row["at"][11:16], row["close"]) for row in points] == [
        ("outliers", "11:10", pytest.approx(walk[101])),
        ("outliers", "11:11", pytest.approx(walk[102])),
        ("duplicates", "12:50", pytest.approx(walk[201])),
    ]
    assert "5 of 390 minutes filled (shaded); rows blamed: 1 duplicates, 2 outliers" in str(spec["title"])


def test_a_row_blamed_before_the_first_print_stands_at_the_nearest_price() -> None:
    early = [{"rule": "outside", "row": 0, "ts": "2024-03-14T13:29:00Z"}]
    assert blamed(json.dumps(early), _bars().filter(symbol="MSFT"))["close"].to_list() == [
        pytest.approx(frames.prices("MSFT")[1])
    ]


def test_the_heat_map_of_a_window_has_a_cell_for_every_day_and_symbol() -> None:
    symbols, days = [f"S{n:02d}" for n in range(64)], frames.sessions(44)
    spec = render.spec(quality(frames.quality(symbols, days)))
    cells = {(row["day"], row["symbol"]) for row in _data(spec["layer"][0], spec)}
    assert cells == {(str(day), symbol) for day in days for symbol in symbols}


def test_every_book_starts_at_zero_and_ends_at_its_net_and_who_never_traded_is_a_flat_line() -> None:
    rows = frames.books(SYMBOLS, DAYS)
    spec = render.spec(equity(rows, days=DAYS, seats=["timegpt", "size"]))
    earned, depth = spec["vconcat"]
    drawn = pl.DataFrame(_data(earned["layer"][1], spec)).sort("at")
    ends = drawn.group_by("line", maintain_order=True).agg(pl.col("cumulated").first(), last=pl.col("cumulated").last())
    assert set(ends["cumulated"]) == {0.0}
    found = {line.partition(":")[0]: last for line, last in ends.select("line", "last").rows()}
    assert found.pop("size") == 0.0
    for (name,), own in rows.filter("admitted").partition_by("book", as_dict=True).items():
        assert found.pop(name) == pytest.approx(own["gross_pnl"].sum() - own["cost"].sum())
    assert not found
    below = pl.DataFrame(_data(depth, spec))
    assert below["line"].n_unique() == 4
    assert max(below["depth"]) == 0.0
    dearer = rows.with_columns(gross_pnl=pl.col("gross_pnl") - 1_000.0)
    title = render.spec(equity(dearer, days=DAYS, seats=["timegpt"]))["title"]["text"]
    assert title.startswith("No book earned its costs; timegpt ended at -$")


def test_of_many_books_the_champions_is_drawn_and_the_title_counts_the_others() -> None:
    own = frames.portfolio(SYMBOLS[:2], DAYS)
    many = pl.concat(own.with_columns(book=pl.lit(f"seat{n}")) for n in range(9))
    spec = render.spec(equity(many, days=DAYS, seats=["quiet"]))
    shown = {row["line"].partition(":")[0] for row in _data(spec["vconcat"][0]["layer"][1], spec)}
    assert len(shown) == 7
    assert "quiet" in shown
    assert "3 further books not drawn" in spec["title"]["subtitle"]


def test_one_session_is_said_to_be_one_and_claims_nothing() -> None:
    one = frames.drift().filter(day=frames.DAY).with_columns(alarm=False)
    for rows in (one, one.with_columns(low=None, high=None)):
        text = render.spec(drift(rows.cast({"low": pl.Float64, "high": pl.Float64})))["title"]["text"]
        assert text == "Coverage on 1 session: too little to say anything of it"
    quiet = frames.drift().with_columns(alarm=False)
    assert render.spec(drift(quiet))["title"]["text"] == "No alarm of coverage on 12 sessions"
    few = render.spec(widths(frames.widths().with_columns(n=pl.lit(1, pl.Int64))))["title"]["text"]
    assert few == "Band width against volatility: n 10, too few for tenths to say anything"
    unsure = frames.comparison().with_columns(
        rpinball_low=pl.lit(None, pl.Float64), rpinball_high=pl.lit(None, pl.Float64)
    )
    told = render.spec(losses(unsure, champion="timegpt"))["title"]["text"]
    assert told == "too few sessions to tell who lost less than timegpt"
    drawn = frames.books(SYMBOLS[:1], DAYS[:1])
    about = render.spec(equity(drawn, days=DAYS[:1], seats=["timegpt"]))["title"]
    assert "on 1 trade" in about["text"]
    assert "alone" in about["subtitle"]


def test_the_strip_of_many_symbols_draws_those_with_most_that_is_not_passed() -> None:
    rows = frames.gates([f"S{n:03}" for n in range(200)])
    spec = render.spec(strip(rows))
    drawn = {row["symbol"] for row in _data(spec["layer"][0], spec)}
    assert len(drawn) == 16
    assert "all" in drawn
    assert "185 further symbols not drawn" in spec["title"]["subtitle"]
    assert spec["title"]["text"].split(" ")[2] == f"{rows.height:,}"


def test_depth_is_below_the_best_so_far_the_start_among_it_and_counts_its_sessions() -> None:
    earned = dict(zip(DAYS, (-50.0, 80.0, 0.0, -100.0, 20.0, 90.0), strict=False))
    times = dict.fromkeys(("snapshot_ts", "target_ts", "entry_ts"), frames.opened(frames.DAY))
    base = times | frames.SOURCE | {"symbol": "AAPL", "admitted": True}
    rows = [base | {"day": day, "gross_pnl": net, "net_pnl": net} for day, net in earned.items()]
    refused = base | {"day": DAYS[2], "symbol": "MSFT", "admitted": False, "gross_pnl": -999.0, "net_pnl": -999.0}
    found = depths(frames.framed(PORTFOLIO, [*rows, refused]), days=DAYS[:7])
    assert found["depth"].to_list() == [-50.0, 0.0, 0.0, -100.0, -80.0, 0.0, 0.0]
    assert found["below"].to_list() == [1, 0, 0, 1, 2, 0, 0]


def test_the_steps_of_the_waterfall_lead_from_gross_to_net_of_what_was_admitted() -> None:
    rows = frames.portfolio(SYMBOLS, DAYS)
    admitted, found = rows.filter("admitted"), steps(rows)
    assert found["step"].to_list() == ["gross", "fees", "spread", "slippage", "impact", "borrow", "net"]
    assert found["end"][0] == pytest.approx(admitted["gross_pnl"].sum())
    assert found["start"][1:6].to_list() == found["end"][:5].to_list()
    assert found["end"][5] == pytest.approx(found["end"][6]) == pytest.approx(admitted["net_pnl"].sum())
    assert found["start"][2] - found["end"][2] == pytest.approx(20.0 * admitted.height)


@pytest.mark.parametrize("side", [1, -1])
def test_the_levels_drawn_are_those_of_the_event_loop_and_the_trail_follows_bars_that_are_over(side: int) -> None:
    entry, bars = frames.opened(frames.DAY), frames.bars(["MSFT"]).head(5)
    moves = (0.0, side * 0.4, side * 0.2, side * 0.9, 0.0)
    path = bars.with_columns(pl.Series("low", moves) + 100, pl.Series("high", moves) + 100)
    path = path.with_columns(is_filled=pl.int_range(5) == 3)  # a copy of an earlier print moves no stop
    times = {"entry_ts": entry, "exit_ts": entry + timedelta(minutes=5), "snapshot_ts": entry, "target_ts": entry}
    row = {"day": frames.DAY, "symbol": "MSFT", "side": side, "quantity": 1.0, "entry_price": 100.0, "sigma": 0.004}
    rules = replace(RULES, s_stop=1.0, s_take=2.0, s_trail=1.0)
    found = levels(frames.framed(PORTFOLIO, [row | times]), path, rules=rules)
    assert set(found.filter(level="stop")["price"]) == {100 * math.exp(-side * 0.004)}
    assert set(found.filter(level="take")["price"]) == {100 * math.exp(side * 0.008)}
    trail = found.filter(level="trail")
    assert trail["ts"].to_list() == [entry + timedelta(minutes=i) for i in (2, 3, 4)]
    assert set(trail["price"]) == {(100 + side * 0.4) * math.exp(-side * 0.004)}
    fixed = levels(frames.framed(PORTFOLIO, [row | times]), path, rules=replace(rules, s_trail=None))
    assert set(fixed["level"]) == {"stop", "take"}


def test_trades_of_a_day_are_told_with_the_reasons_of_exits_and_of_signals_not_entered() -> None:
    filled = frames.portfolio(["MSFT"], [frames.DAY])
    missed = filled.with_columns(quantity=pl.lit(0.0), entry_reason=pl.lit("cooldown"))
    drawn = trades(pl.concat([filled, missed]), _bars(), rules=TRAILING, day=frames.DAY, symbol="MSFT")
    svg = render.svg(drawn)
    assert f"MSFT on {frames.DAY}: 1 of 2 signals traded" in svg
    assert "not entered: 1 cooldown" in svg
    assert f">forecast_ts {dollars(filled['net_pnl'].item())}<" in svg
    alone = render.spec(trades(missed, _bars(), rules=TRAILING, day=frames.DAY, symbol="MSFT"))
    assert _marks(alone) == ["line"]
