"""No note beside a materialisation is worth the run: whatever fails in making one is logged, and the rest is there."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from timegpt_assets.assets import previews
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.reports.pictures import quality as drawn_quality
from timegpt_assets_tests.core.house_rules import RULES
from timegpt_assets_tests.reports.pictures import frames

DAYS = frames.sessions(2)


class Context(SimpleNamespace):
    """What previews ask of a run: its partitions, and where notes go."""

    def __init__(self, *keys: str) -> None:
        super().__init__(partition_keys=list(keys), noted={})

    def add_asset_metadata(self, metadata: dict[str, Any], *, partition_key: str) -> None:
        """Keep the notes."""
        self.noted[partition_key] = metadata


def context() -> Any:
    """Return the context of a run of two days."""
    return Context(*(str(day) for day in DAYS))


def test_the_map_of_five_hundred_symbols_is_a_note_that_fits() -> None:
    report = frames.quality([f"S{n:03}" for n in range(500)], DAYS)
    (note,) = previews.verdict_map(context(), report)["verdict_map"].values()
    assert str(note.value).startswith("![verdicts of")
    assert len(str(note.value)) <= 60_000


def test_a_picture_that_fails_is_a_sentence_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(_: object) -> None:
        raise pl.exceptions.PanicException("planted")

    monkeypatch.setattr(drawn_quality, "quality", planted)
    (note,) = previews.verdict_map(context(), frames.quality(["AAPL"], DAYS))["verdict_map"].values()
    assert "the picture could not be drawn (PanicException)" in str(note.value)


def broken_grid(_: pl.DataFrame) -> pl.DataFrame:
    """Fail as the grid of bad rows might."""
    raise pl.exceptions.ComputeError("planted")


@pytest.mark.parametrize(
    "note",
    [
        lambda: previews.day_charts(context(), frames.quality(["AAPL"], DAYS).with_columns(verdict=pl.lit("warned"),
            rows_session=pl.lit(1)), broken_grid, 0),
        lambda: previews.fans(context(), FORECASTS.empty(), pl.DataFrame({"unknown": [1]})),
        lambda: previews.verdict_map(Context(), frames.quality(["AAPL"], DAYS)),
        lambda: previews.of_months(Context("2020-01-01"), pl.DataFrame({"month": ["2025-01"]}), "coverage_drift"),
        lambda: previews.choice(Context("2020-01-01"), [SimpleNamespace(month="2025-01")], lambda _: object()),
    ],
    ids=["day_charts", "fans", "verdict_map", "of_months", "choice"],
)  # fmt: skip
def test_a_note_that_fails_is_left_out_and_logged(
    note: Callable[[], previews.Notes], caplog: pytest.LogCaptureFixture
) -> None:
    assert note() == {}
    assert "is not shown; the rows are stored all the same" in caplog.text


def test_every_public_note_is_guarded() -> None:
    noting = [f for f in vars(previews).values() if getattr(f, "__annotations__", {}).get("return") is previews.Notes]
    assert {f.__name__ for f in noting} == {
        "fans", "trades_of_days", "of_months", "verdict_map", "day_charts", "choice", "worth", "held",
    }  # fmt: skip
    assert all(hasattr(f, "__wrapped__") for f in noting)


def test_pictures_of_a_month_are_the_champions_alone() -> None:
    own = frames.reliability()
    other = own.with_columns(forecaster=pl.lit("zero"), bin_share=pl.col("bin_share") / 7)
    context: Any = SimpleNamespace(partition_keys=["2024-03-01"], add_asset_metadata=lambda *_, **__: None)
    drawn = [
        previews.of_months(context, rows, "pit_reliability", champion="ridge")["histogram"]["2024-03-01"].value
        for rows in (own, pl.concat([own, other]))
    ]
    assert "could not be drawn" not in drawn[1]
    assert drawn[0] == drawn[1]


def test_the_newest_partitions_with_trades_of_the_champion_are_drawn_and_no_others() -> None:
    traded = frames.portfolio([f"S{n}" for n in range(6)], DAYS)
    other = frames.portfolio(["ZZ"], DAYS[-1:]).with_columns(forecaster=pl.lit("zero"))
    bars = frames.bars([f"S{n}" for n in range(6)], DAYS[-1])
    drawn = previews.trades_of_days(
        context(), pl.concat([traded, other]), bars, rules=RULES, champion=frames.SOURCE["forecaster"]
    )["trades"]
    assert list(drawn) == [f"{DAYS[-1]}|S{n}" for n in range(previews.DRAWN_TRADED)]
    assert all(str(note.value).startswith("![trades of S") for note in drawn.values())
    unfilled = traded.with_columns(quantity=pl.lit(0.0))
    assert previews.trades_of_days(context(), unfilled, bars, rules=RULES, champion="ridge") == {}
