"""Forecast grids by pencil: how many combinations there are, what each changes, and which of them is best."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.forecast_grid import forecast_grid
from timegpt_assets.config.settings import GRIDS
from timegpt_assets.config.shipped import CONFIGS
from timegpt_assets.core.research import forecast_board
from timegpt_assets.core.research.forecast_grid import SETTINGS, changes, choices, words
from timegpt_assets.core.tables.forecast_grid import BOARD

SOURCES = {"score_source": "model", "run_source": "prod", "data_regime": "prod_live"}


@pytest.mark.parametrize(("name", "count"), [("forecast_grid", 2 * 3 * 1 * 4 * 2), ("forecast_grid_wide", 144)])
def test_the_shipped_grids_hold_the_combinations_of_their_seeds(name: str, count: int) -> None:
    found = choices(forecast_grid(CONFIGS / f"{name}.yaml").dimensions)
    assert len(found) == count
    assert len({words(choice) for choice in found}) == count


def test_grids_begin_as_the_settings_know_them() -> None:
    assert {file.stem for file in CONFIGS.glob(f"{GRIDS}*.yaml")} == {"forecast_grid", "forecast_grid_wide"}


def test_every_dimension_moves_its_setting_and_neighbours_share_what_is_made_first(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "calibration: [none, widen]\nlevels: [[50, 90]]\npresets: [dense]\nhorizons_min: [5, 10]\nmodels: [a, b]\n"
        "ablations: [[], [volume, clock]]\ntarget_modes: [bp]\nquantile_sets: [[0.25, 0.5, 0.75]]\n"
    )
    found = choices(forecast_grid(file).dimensions)
    assert list(found[0]) == list(SETTINGS)
    assert [choice["calibration_methods"] for choice in found[:4]] == ["none", "widen", "none", "widen"]
    assert [choice["horizons"] for choice in found] == ([5] * 4 + [10] * 4) * 2
    assert changes(found[-1], groups=["price", "volume", "clock"]) == {
        "features.groups": ["price"],
        "forecast.horizon_min": 10,
        "forecast.target.mode": "bp",
        "forecast.snapshot_preset": "dense",
        "forecast.model": "b",
        "forecast.quantiles": [0.25, 0.5, 0.75],
        "forecast.levels": [50, 90],
        "calibration.method": "widen",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a dimension with its values. Name a grid's file, such as configs/forecast_grid.yaml"),
        ("- 1\n", "a dimension with its values"),
        ("horizons: []\n", "horizons = .* at least one value, each once. Write a list of values"),
        ("horizons: [5, 5]\n", "horizons = .* each once"),
        ("horizons: [0]\n", "horizons = .* greater than or equal to 1"),
        ("horizon: [5]\n", "horizon = .* allowed is one of snapshot_presets, presets, .* Did you mean horizons"),
        ("colour: [red]\n", "colour = .* Take it out, or write one of these"),
        ("calibration: [guess]\n", "calibration = .* 'none', 'affine', 'isotonic'"),
        ("horizons: [5\n", "is refused: allowed is a YAML mapping"),
    ],
)
def test_a_file_that_says_no_grid_is_refused_with_the_remedy(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as refusal:
        forecast_grid(file)
    assert str(file) in str(refusal.value)
    with pytest.raises(ConfigError, match="No such file"):
        forecast_grid(tmp_path / "nowhere.yaml")


def row(name: str, sharpe: float | None, deviation: float, **other: Any) -> dict[str, Any]:
    """Return one combination's figures."""
    said = {"combination": name, "words": name, "seed": 1, "tradeable": True, "payload": name, "forecaster": "timegpt"}
    said |= SOURCES | {"n": 100, "rmae": 0.9, "pinball": 0.1, "pit_coverage": 0.5 + deviation}
    said |= {"pit_deviation": deviation, "observation_days": 10, "trades": 5, "hit_rate": 0.5, "net_pnl": 1.0}
    said |= {"sharpe_daily": sharpe, "max_drawdown": 0.1, "gates_passed": False, "gates_failed": ""}
    return said | other


def board(*rows: dict[str, Any]) -> pl.DataFrame:
    return forecast_board.board(pl.DataFrame(list(rows), infer_schema_length=None))


def test_the_composite_is_sharpe_times_one_less_the_deviation_and_gates_come_first() -> None:
    found = board(
        row("high", 2.0, 0.25),
        row("covered", 1.8, 0.0),
        row("passed", 0.5, 0.1, gates_passed=True),
        row("passed less", 0.4, 0.0, gates_passed=True),
    )
    assert found.columns == list(BOARD)
    assert found.select("rank", "combination").rows() == [
        (1, "passed"),  # 0.5 x 0.9 = 0.45
        (2, "passed less"),  # 0.4 x 1.0 = 0.40
        (3, "covered"),  # 1.8 x 1.0 = 1.8
        (4, "high"),  # 2.0 x 0.75 = 1.5
    ]
    assert found["composite"].to_list() == pytest.approx([0.45, 0.4, 1.8, 1.5])


def test_a_loss_is_not_rewarded_by_bad_bands() -> None:
    """By the composite alone the worse bands of the same loss would win: -1 x 0.6 > -1 x 0.9."""
    found = board(
        row("wide of it", -1.0, 0.4), row("near", -1.0, 0.1), row("more lost", -2.0, 0.49), row("none", 0.01, 0.5)
    )
    assert found["combination"].to_list() == ["none", "near", "wide of it", "more lost"]
    assert found["composite"].to_list() == pytest.approx([0.005, -0.9, -0.6, -1.02])


def test_what_cannot_be_traded_or_has_no_ratio_is_told_and_has_no_rank() -> None:
    found = board(row("quiet", None, 0.1), row("unaligned", 3.0, 0.0, tradeable=False), row("scored", -5.0, 0.2))
    assert found.select("rank", "combination", "status", "composite").rows() == [
        (1, "scored", "scored", -4.0),
        (None, "unaligned", "not_tradeable", None),
        (None, "quiet", "no_sharpe", None),
    ]
    assert forecast_board.has_scores(found)
    assert not forecast_board.has_scores(board(row("quiet", None, 0.1)))


def test_dimensions_that_move_are_those_in_which_any_two_choices_differ() -> None:
    said = {"horizons": 5, "models": "a"}
    assert forecast_board.moved([]) == []
    assert forecast_board.moved([said]) == []
    assert forecast_board.moved([said, said, said | {"models": "b"}]) == ["models"]


def test_sources_are_ranked_apart_and_the_same_payload_is_marked() -> None:
    other = {"run_source": "maintenance"}
    found = board(
        row("z", 1.0, 0.0, payload="x", **other),
        row("a", 1.0, 0.0, payload="x"),
        row("b", 2.0, 0.0, payload="x"),
        row("c", 3.0, 0.0),
        row("a", 0.5, 0.0, payload="x", **other),
    )
    assert found.filter(run_source="prod").select("rank", "combination", "duplicate_payload").rows() == [
        (1, "c", None),
        (2, "b", "a"),
        (3, "a", None),
    ]
    others = found.filter(run_source="maintenance").select("rank", "combination", "duplicate_payload").rows()
    assert others == [(1, "z", None), (2, "a", "z")]


def test_the_payload_changes_with_every_quantile_and_every_trade_and_with_nothing_else() -> None:
    day = date(2025, 1, 21)
    forecasts = pl.DataFrame(
        {"forecaster": ["timegpt", "zero"], "day": [day] * 2, "symbol": ["A", "A"], "snapshot_ts": [1, 1],
         "target_ts": [2, 2], "q25": [0.1, 0.0], "q50": [0.2, 0.0], "request_hash": ["x", "y"]}
    )  # fmt: skip
    trades = pl.DataFrame(
        {"forecaster": ["timegpt"], "day": [day], "symbol": ["A"], "snapshot_ts": [1], "side": [1], "quantity": [2.0],
         "entry_price": [3.0], "exit_price": [4.0], "net_pnl": [2.0]}
    )  # fmt: skip

    def payload(f: pl.DataFrame = forecasts, t: pl.DataFrame = trades) -> str:
        return forecast_board.payload(f, t, champion="timegpt")

    same = [payload(), payload(forecasts.reverse()), payload(forecasts.with_columns(request_hash=pl.lit("z")))]
    same.append(payload(forecasts.with_columns(q50=pl.when(pl.col("forecaster") == "zero").then(9.0).otherwise("q50"))))
    same.append(payload(forecasts.with_columns(quality=pl.lit(1), x25=pl.lit(2), qa5=pl.lit(3))))
    assert len(set(same)) == 1
    twice = pl.concat([forecasts, forecasts.with_columns(pl.col("target_ts") + 1)])
    assert payload(twice) == payload(twice.reverse())
    assert len(payload()) == 16
    other = [payload(forecasts.with_columns(q25=pl.col("q25") + 1e-12)), payload(forecasts.rename({"q25": "q10"}))]
    other += [payload(t=trades.with_columns(net_pnl=pl.lit(2.0001))), payload(t=trades.clear())]
    assert len({payload(), *other}) == 5
