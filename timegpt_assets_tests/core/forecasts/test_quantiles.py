"""What a question and its answer must be: every name exact, no band crossed, nothing sent or joined by accident."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts import quantiles
from timegpt_assets.core.forecasts.framing import Frame, FrameSpec, frames, series
from timegpt_assets.core.forecasts.quantiles import (
    bands,
    fingerprint,
    levels_of,
    local_requests,
    monotone,
    outcomes,
    quantile_name,
    raw_forecasts,
    violations,
)
from timegpt_assets.core.forecasts.snapshots import Preset, SnapshotSpec, snapshots
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.columns import BANDS
from timegpt_assets.core.tables.features import LABELS
from timegpt_assets.core.tables.forecasts import ANSWERS
from timegpt_assets.core.targets import Target
from timegpt_assets_tests.core.panels import panel

DAY, SYMBOLS = date(2025, 7, 2), ("AAA", "BBB")
QUANTILES, LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9), (50, 80, 95)
PANEL = panel([date(2025, 7, 1), DAY], SYMBOLS)
PRESET = Preset(name="p", times=(time(10), time(14)))
SNAPSHOTS = snapshots([DAY], SnapshotSpec(preset=PRESET, horizon_min=15, calendar=EventCalendar({})))
ASKED_AT = datetime(2025, 7, 2, 21, tzinfo=UTC)


def framed(rows: pl.DataFrame = PANEL, **changed: Any) -> Frame:
    usual = {"symbols": SYMBOLS, "target": Target(), "history_days": 1, "sigma_column": "sigma_60m"}
    return frames(rows, SNAPSHOTS, FrameSpec(**(usual | changed)), day=DAY)[0]


FRAME = framed()
ROAD = {"model": "ridge", "levels": LEVELS, "parameters": {"ridge": 0.25}}


def local_request(
    frame: Frame, *, model: str, levels: Sequence[int], parameters: Mapping[str, float | int | str]
) -> bytes:
    return local_requests(frame, {model: parameters}, levels=levels)[model]


QUESTION = local_request(FRAME, **ROAD)
ASKED = {"symbols": SYMBOLS, "steps": range(1, 16), "levels": LEVELS}


def digest(body: bytes = QUESTION, *, host: str = "h", endpoint: str = "e", model: str = "m") -> str:
    return fingerprint(body, symbols=SYMBOLS, model=model, host=host, endpoint=endpoint)


def answered(steps: int = 15, *, seed: int = 3, scale: float = 1.0) -> pl.DataFrame:
    """Return ANSWERS rows of both snapshots and symbols, bands symmetric around the mean, values times ``scale``."""
    rng = np.random.default_rng(seed)
    keys = SNAPSHOTS.select("day", "snapshot_ts").join(pl.DataFrame({"symbol": SYMBOLS}), how="cross")
    rows = keys.join(pl.DataFrame({"step": range(1, steps + 1)}), how="cross")
    mean, width = rng.standard_normal(rows.height) * 1e-4, rng.uniform(1e-4, 1e-3, rows.height)
    values = {
        "mean": mean,
        **{f"lo_{v}": mean - width * v for v in LEVELS},
        **{f"hi_{v}": mean + width * v for v in LEVELS},
    }
    return ANSWERS.conformed(
        rows.with_columns(pl.Series(name, v * scale) for name, v in values.items()).with_columns(
            request_hash=pl.lit("abc"),
            asked_at=pl.lit(ASKED_AT, pl.Datetime("us", "UTC")),
            sigma=pl.lit(4e-3),
            target_scale=pl.lit(1.0 / scale),
            forecaster=pl.lit("ridge"),
            backend=pl.lit("baseline"),
            model=pl.lit("ridge"),
            score_source=pl.lit("baseline"),
            run_source=pl.lit("smoke"),
            data_regime=pl.lit("maintenance_replay"),
            stale_input=pl.lit(False),
            host=pl.lit(None, dtype=pl.String),
        )
    )


def raw(answers: pl.DataFrame, **changed: Any) -> pl.DataFrame:
    return raw_forecasts(
        answers, SNAPSHOTS, **({"target": Target(), "quantiles": QUANTILES, "levels": LEVELS} | changed)
    )


# names


@pytest.mark.parametrize(
    ("quantile", "name"),
    [
        (0.025, "q025"),
        (0.05, "q05"),
        (0.1, "q10"),
        (0.25, "q25"),
        (0.5, "q50"),
        (0.9, "q90"),
        (0.975, "q975"),
        (0.995, "q995"),
    ],
)
def test_a_quantile_is_named_by_its_percent_in_two_digits_and_its_tenth(quantile: float, name: str) -> None:
    assert quantile_name(quantile) == name


def test_the_bands_of_the_declared_levels_are_the_declared_ones() -> None:
    assert bands(LEVELS) == BANDS
    assert bands([90, 60]) == {60: ("q20", "q80"), 90: ("q05", "q95")}


@given(st.sets(st.integers(1, 99), min_size=1))
def test_names_are_unique_and_sorted_by_probability_and_levels_come_back_from_their_quantiles(levels: set[int]) -> None:
    held = bands(levels)
    names = [name for pair in held.values() for name in pair]
    assert len(set(names)) == 2 * len(levels)
    assert levels_of([float(f"0.{name[1:]}") for name in names], []) == tuple(sorted(levels))
    outward = sorted(levels)
    assert sorted(names) == [held[v][0] for v in reversed(outward)] + [held[v][1] for v in outward]


def test_levels_are_the_union_of_those_asked_and_those_the_quantiles_imply() -> None:
    assert levels_of(QUANTILES, (50, 80, 95)) == (50, 80, 95)
    assert levels_of((0.05, 0.25, 0.5), (60,)) == (50, 60, 90)
    assert levels_of((0.5,), ()) == ()


@pytest.mark.parametrize("quantile", [0.29, 0.57, 0.58, 0.025])
def test_quantiles_that_the_sdk_would_truncate_have_their_exact_level(quantile: float) -> None:
    assert levels_of([quantile], []) == (round(100 * abs(1 - 2 * quantile)),)


@pytest.mark.parametrize("quantile", [0.123, 0.0, 1.0, -0.1, 0.3333])
def test_a_quantile_without_a_whole_level_is_refused(quantile: float) -> None:
    with pytest.raises(ValueError, match=rf"quantile {quantile}.*Ask for multiples of 0.005"):
        levels_of([quantile], [])


@pytest.mark.parametrize("level", [0, 100, 97.5, -5, True])
def test_a_level_that_is_no_whole_percentage_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match=r"is no whole percentage.*Mend forecast\.levels"):
        levels_of([], [level])  # type: ignore[list-item]


# request and fingerprint


def test_the_body_holds_what_shapes_the_answer_as_float32_per_symbol() -> None:
    body = orjson.loads(QUESTION)
    assert {k: body[k] for k in ("h", "freq", "level", "model", "symbols", "framing_version")} == {
        "h": 15, "freq": "min", "level": [50, 80, 95], "model": "ridge", "symbols": ["AAA", "BBB"],
        "framing_version": quantiles.FRAMING_VERSION,
    }  # fmt: skip
    for symbol, sent in zip(SYMBOLS, body["y"], strict=True):
        y = FRAME.history.filter(pl.col("symbol") == symbol)["y"].to_numpy().astype(np.float32)
        assert len(sent) == 376 + 16
        assert np.array_equal(np.array(sent, np.float32), y)


def test_the_same_question_has_the_same_fingerprint_whatever_the_order_it_was_put_in() -> None:
    again = local_request(framed(PANEL.reverse(), symbols=["BBB", "AAA"]), **ROAD | {"levels": [95, 50, 80, 50]})
    assert again == QUESTION
    assert len(digest()) == 64


def test_whatever_shapes_the_answer_changes_the_fingerprint() -> None:
    nudged = PANEL.with_columns(
        pl.when(pl.col("known_at") == SNAPSHOTS["snapshot_ts"][0])
        .then(pl.col("clock_price") * 1.001)
        .otherwise("clock_price")
    )
    spec = FrameSpec(symbols=SYMBOLS, target=Target(), history_days=1, sigma_column="sigma_60m")
    frame_two = frames(PANEL, SNAPSHOTS, spec, day=DAY)[1]
    requests = [
        QUESTION,
        local_request(FRAME, **ROAD | {"model": "other"}),
        local_request(FRAME, **ROAD | {"levels": (50, 80)}),
        local_request(framed(nudged), **ROAD),
        local_request(framed(history_days=0), **ROAD),
        local_request(framed(symbols=["AAA"]), **ROAD),
        local_request(frame_two, **ROAD),
        local_request(FRAME, **ROAD | {"parameters": {"ridge": 0.5}}),
    ]
    prints = {digest(body) for body in requests}
    prints |= {digest(host=host, endpoint=end) for host, end in (("h2", "e"), ("h", "e2"), ("he", ""))}
    prints |= {digest(model="m2"), fingerprint(QUESTION, symbols=["AAA"], model="m", host="h", endpoint="e")}
    assert len(prints) == len(requests) + 5


def test_the_same_returns_at_another_moment_are_another_question() -> None:
    later = FRAME.snapshot_ts + timedelta(minutes=1)
    moved = Frame(**{name: getattr(FRAME, name) for name in Frame.__slots__} | {"snapshot_ts": later})
    assert local_request(moved, **ROAD) != QUESTION


def test_the_fingerprint_is_the_same_in_another_process_and_on_another_day() -> None:
    body = b'{"y":[[0.5]]}'
    spelled = b'["h","e","m",["A"],"' + quantiles.FRAMING_VERSION.encode() + b'"]\n' + body
    found = fingerprint(body, symbols=("A",), model="m", host="h", endpoint="e")
    assert found == hashlib.sha256(spelled).hexdigest()


def test_a_local_forecaster_s_fingerprint_covers_what_a_provider_never_sees() -> None:
    louder = FRAME.history.with_columns(past_1m=pl.col("past_1m") * 1.01)
    other = Frame(**{name: getattr(FRAME, name) for name in Frame.__slots__} | {"history": louder})
    assert_frame_equal(series(other), series(FRAME))
    assert local_request(other, **ROAD) != QUESTION


def test_only_the_rows_the_provider_reads_are_sent_and_older_ones_then_change_nothing() -> None:
    sent = series(FRAME, input_rows=20)
    assert sent.schema == {"symbol": pl.String, "ds": TIME, "y": pl.Float32}
    assert_frame_equal(sent, pl.concat(part.tail(20) for part in series(FRAME).partition_by("symbol")))
    today = framed(history_days=0, min_history_samples=1)
    assert_frame_equal(series(today, input_rows=16), series(FRAME, input_rows=16))
    assert not series(today).equals(series(FRAME))


# validation


def good() -> pl.DataFrame:
    return answered().filter(pl.col("snapshot_ts") == FRAME.snapshot_ts)


@pytest.mark.parametrize(
    ("spoiled", "sentence"),
    [
        (lambda a: a, None),
        (lambda a: a.filter(pl.col("step") != 7), "2 rows are not answered, the first is AAA step 7"),
        (lambda a: a.with_columns(symbol=pl.col("symbol").replace("BBB", "CCC")), "15 rows are not asked for, the first is CCC"),  # noqa: E501
        (lambda a: pl.concat([a, a.head(1)]), "2 rows are answered more than once"),
        (lambda a: a.with_columns(hi_95=pl.lit(float("nan"))), "30 rows are not finite"),
        (lambda a: a.with_columns(mean=pl.lit(None, pl.Float64)), "30 rows are not finite"),
        (lambda a: a.with_columns(lo_80=pl.lit(float("-inf"))), "30 rows are not finite"),
        (lambda a: a.drop("lo_50", "hi_80"), "columns lo_50, hi_80 are missing"),
        (lambda a: a.with_columns(lo_50="hi_50", hi_50="lo_50"), "30 rows are not nested"),
        (lambda a: a.with_columns(hi_80="hi_95", hi_95="hi_80"), "30 rows are not nested"),
        (lambda a: a.with_columns(mean=pl.col("hi_50") + 1e-9), "30 rows are not nested"),
        (lambda a: a.clear(), "30 rows are not answered"),
    ],
)  # fmt: skip
def test_an_answer_that_differs_from_the_question_is_described(spoiled: Any, sentence: str | None) -> None:
    said = violations(spoiled(good()), **ASKED)
    assert (said == []) if sentence is None else any(s.startswith(sentence) for s in said)


# raw forecasts


def test_a_forecast_is_the_step_at_target_ts_with_bands_equal_to_their_quantiles() -> None:
    answers = answered()
    rows = raw(answers)
    assert rows.height == 4
    for row in rows.iter_rows(named=True):
        (said,) = answers.filter(
            (pl.col("step") == 15) & (pl.col("symbol") == row["symbol"]) & (pl.col("snapshot_ts") == row["snapshot_ts"])
        ).to_dicts()
        assert row["target_ts"] == row["snapshot_ts"] + timedelta(minutes=15)
        assert row["q50"] == said["mean"]
        for level, (low, high) in BANDS.items():
            assert row[low] == row[f"lo_{level}"] == said[f"lo_{level}"]
            assert row[high] == row[f"hi_{level}"] == said[f"hi_{level}"]
        assert {row["crossings"], row["calibration"], row["label_aligned"]} == {0, "none", True}
        assert (row["request_hash"], row["asked_at"], row["sigma"], row["backend"]) == (
            "abc",
            ASKED_AT,
            4e-3,
            "baseline",
        )


@given(st.sampled_from([1.0, 1e4, 123.4, 1e-3]))
def test_answers_in_other_target_units_are_the_same_returns(scale: float) -> None:
    assert_frame_equal(raw(answered(scale=scale)), raw(answered()), abs_tol=1e-12)


def test_crossed_bands_are_put_in_order_and_counted() -> None:
    answers = answered().with_columns(lo_50="hi_50", hi_50="lo_50")
    rows = raw(answers)
    assert rows["crossings"].to_list() == [3] * 4  # q25 > q50, q25 > q75, q50 > q75
    assert_frame_equal(rows.drop("crossings"), raw(answered()).drop("crossings"))


def test_what_was_not_asked_for_is_null_and_what_goes_beyond_becomes_a_column() -> None:
    answers = answered().with_columns(lo_90="lo_95", hi_90="hi_95")
    rows = raw(answers, quantiles=(0.05, 0.25), levels=(50,))
    assert rows.select("q025", "q10", "lo_80", "hi_95").null_count().row(0) == (4, 4, 4, 4)
    assert rows["q05"].to_list() == rows["lo_90"].to_list() != [None] * 4
    assert rows["q95"].to_list() == rows["hi_90"].to_list()
    assert (rows["q05"] < rows["q25"]).all()
    assert "q05" not in raw(answered()).columns


def test_a_target_that_is_not_the_horizon_is_marked() -> None:
    assert not raw(answered(), target=Target(mode="log_return"))["label_aligned"].any()


def test_an_answer_without_its_snapshot_its_step_or_its_band_is_refused() -> None:
    with pytest.raises(ValueError, match=r"4 answers have no asked snapshot.*AAA on 2025-07-02.*Materialise"):
        raw(answered(steps=14))
    unasked = SNAPSHOTS.with_columns(asked=pl.lit(False))
    with pytest.raises(ValueError, match="no asked snapshot"):
        raw_forecasts(answered(), unasked, target=Target(), quantiles=QUANTILES, levels=LEVELS)
    with pytest.raises(ValueError, match=r"answers lack lo_60, hi_60\. Ask again"):
        raw(answered(), levels=(60,))


def test_no_answers_give_no_forecasts_and_symbol_by_symbol_is_all_at_once() -> None:
    answers = answered()
    assert raw(answers.clear()).schema == raw(answers).schema
    parts = [raw(answers.filter(pl.col("symbol") == s)) for s in SYMBOLS]
    assert_frame_equal(raw(answers.reverse()), pl.concat(parts).sort("day", "symbol", "snapshot_ts"), check_exact=True)


# outcomes


def labelled(horizon: int = 15) -> pl.DataFrame:
    ends = pl.concat([SNAPSHOTS["target_ts"], SNAPSHOTS["snapshot_ts"]])
    rows = pl.DataFrame({"target_ts": ends}).join(pl.DataFrame({"symbol": SYMBOLS}), how="cross")
    return LABELS.conformed(
        rows.with_columns(
            day=pl.lit(DAY),
            ts=pl.col("target_ts") - pl.duration(minutes=horizon + 1),
            horizon_min=pl.lit(horizon, pl.Int64),
            y=pl.int_range(pl.len()).cast(pl.Float64) * 1e-4 * horizon,
            y_bp=pl.int_range(pl.len()).cast(pl.Float64) * horizon,
            y_volatility_z=pl.lit(None, pl.Float64),
        )
    )


def test_outcomes_hold_the_return_that_ends_at_target_ts_and_the_one_known_at_the_snapshot() -> None:
    labels = pl.concat([labelled(), labelled(1)])
    truth = {(r["symbol"], r["target_ts"]): r["y"] for r in labelled().iter_rows(named=True)}
    rows = outcomes(raw(answered()), labels, target=Target())
    assert rows.height == 4
    for row in rows.iter_rows(named=True):
        assert row["y"] == truth[row["symbol"], row["target_ts"]]
        assert row["y_last"] == truth[row["symbol"], row["snapshot_ts"]]


def test_a_target_of_its_own_horizon_is_judged_by_that_label_alone() -> None:
    target = Target(mode="log_return")
    rows = outcomes(raw(answered(), target=target), pl.concat([labelled(), labelled(1)]), target=target)
    expected = outcomes(raw(answered(), target=target), labelled(1), target=target)
    assert_frame_equal(rows, expected)
    assert rows["y"].max() < 1e-3 < labelled()["y"].max()


def test_forecasts_without_a_truth_are_no_outcome_and_a_missing_last_label_is_null() -> None:
    labels = labelled().filter(
        (pl.col("target_ts") != SNAPSHOTS["target_ts"][0]) & (pl.col("target_ts") != SNAPSHOTS["snapshot_ts"][1])
    )
    rows = outcomes(raw(answered()).with_columns(lineage_id=pl.lit("x")), labels, target=Target())
    assert rows["snapshot_ts"].unique().to_list() == [SNAPSHOTS["snapshot_ts"][1]]
    assert rows["y_last"].null_count() == rows.height == 2
    assert "lineage_id" not in rows.columns


# monotone

VALUES = st.none() | st.floats(-1, 1, allow_nan=False)


@given(st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=1, max_size=20))
def test_monotone_ascends_keeps_the_values_and_the_nulls_and_is_idempotent(
    rows: list[tuple[float | None, ...]],
) -> None:
    columns = ["q10", "q25", "q50", "q90"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Float64), orient="row").with_row_index("n")
    once = monotone(frame, columns)
    for before, after in zip(rows, once.select(columns).rows(), strict=True):
        given_values = [v for v in after if v is not None]
        assert given_values == sorted(v for v in before if v is not None)
        assert [v is None for v in after] == [v is None for v in before]
    assert_frame_equal(monotone(once, columns), once, check_exact=True)
    assert once["n"].equals(frame["n"])


def test_monotone_of_no_rows_or_no_columns_is_the_frame_itself() -> None:
    frame = pl.DataFrame({"a": [2.0], "b": [1.0]})
    assert monotone(frame, []).equals(frame)
    assert monotone(frame.clear(), ["a", "b"]).schema == frame.schema
    assert monotone(frame, ["a", "b"]).row(0) == (1.0, 2.0)


def test_a_day_without_a_question_has_answers_of_the_same_columns_and_gives_no_forecasts():
    nothing = quantiles.no_answers((80, 50))
    assert nothing.is_empty()
    assert nothing.columns[-4:] == ["lo_50", "lo_80", "hi_50", "hi_80"]
    raw = quantiles.raw_forecasts(nothing, SNAPSHOTS.clear(), target=Target(), quantiles=(0.1, 0.25, 0.5), levels=(50,))
    assert raw.is_empty()
