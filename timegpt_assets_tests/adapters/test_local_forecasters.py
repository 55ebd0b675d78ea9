"""The forecasters on this machine: as the settings make them, each by itself, and what a bad one costs."""

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.local_forecasters import LocalForecasters
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.forecasts.local.seats import SHIPPED
from timegpt_assets.runtime import local_forecasters
from timegpt_assets_tests.core.forecasts.local.made import HOURS, SYMBOLS, framed

EVERYONE = f"forecast.challengers=[{','.join(SHIPPED)}]"
FRAMES = framed(preset=HOURS)

BAD = """
import sys

import polars as pl


class Good:
    parameters = {"width": 1.0}

    def answers(self, frames, levels):
        rows = [
            {"snapshot_ts": f.snapshot_ts, "symbol": symbol, "step": f.horizon_min, "mean": 0.0}
            | {f"{end}_{n}": sign * n * 1e-5 for n in levels for end, sign in (("lo", -1.0), ("hi", 1.0))}
            for f in frames for symbol in f.sigma["symbol"]
        ]
        return self.spoilt(pl.DataFrame(rows).with_columns(pl.col("snapshot_ts").cast(pl.Datetime("us", "UTC"))))

    def spoilt(self, rows):
        return rows


class Raises(Good):
    def spoilt(self, rows):
        raise RuntimeError("no licence")


class Leaves(Good):
    def spoilt(self, rows):
        sys.exit(3)


class Crossed(Good):
    def spoilt(self, rows):
        return rows.with_columns(hi_50=pl.when(pl.col("symbol") == "AAA").then(1.0).otherwise("hi_50"))


class Gapped(Good):
    def spoilt(self, rows):
        return rows.drop("lo_80")


class Short(Good):
    def spoilt(self, rows):
        return rows.filter(pl.col("symbol") != "AAA")


class Empty(Good):
    def spoilt(self, rows):
        return pl.DataFrame([])


class NotNumbers(Good):
    def spoilt(self, rows):
        return rows.with_columns(mean=pl.when(pl.col("symbol") == "AAA").then(float("nan")).otherwise(0.0))


class Nulls(Good):
    def spoilt(self, rows):
        return rows.with_columns(lo_95=pl.when(pl.col("symbol") == "AAA").then(None).otherwise("lo_95"))


class Strangers(Good):
    def spoilt(self, rows):
        return rows.with_columns(symbol=pl.col("symbol").replace("AAA", "ZZZ"))


class Elsewhen(Good):
    def spoilt(self, rows):
        return rows.with_columns(pl.col("snapshot_ts").dt.offset_by("1m"))


class Words(Good):
    def spoilt(self, rows):
        return rows.with_columns(pl.col("mean").cast(pl.String))


class Twice(Good):
    def spoilt(self, rows):
        return pl.concat([rows, rows.filter(pl.col("symbol") == "AAA")])


class Listed(Good):
    def spoilt(self, rows):
        return rows.to_dicts()


class Unsaid(Good):
    parameters = {"secret": object()}


class Vandal(Good):
    def answers(self, frames, levels):
        for frame in frames:
            frame.history.drop_in_place("y")
            frame.sigma.drop_in_place("sigma")
        return super().answers(frames, levels)
"""
AAA_ONLY = {
    "Crossed": "bands not nested",
    "Short": "not answered",
    "NotNumbers": "not finite",
    "Nulls": "not finite",
    "Twice": "answered more than once",
}
ABSENT = {
    "Raises": "absent: RuntimeError: no licence",
    "Leaves": "absent: SystemExit: 3",
    "Gapped": "absent: Unfit: no column lo_80",
    "Strangers": "absent: Unfit: 6 answers to what was not asked, the first is ZZZ",
    "Elsewhen": "absent: Unfit: 12 answers to what was not asked, the first is AAA",
    "Words": "absent: Unfit: columns mean of String; ",
    "Listed": "absent: Unfit: a list instead of a polars DataFrame",
    "Unsaid": "absent: TypeError: ",
    "Missing": "absent: AttributeError: ",
}


def seated(*overrides: str) -> LocalForecasters:
    settings = load_settings(profile="demo", config_dir=None, environment={}, overrides=overrides)
    return local_forecasters(settings)


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package of good and bad forecasters for the test."""
    (tmp_path / "strange_seats.py").write_text(BAD)
    about = tmp_path / "strange_seats-2.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-seats\nVersion: 2.1\n")
    names = ["Good", "Empty", "Vandal", *AAA_ONLY, *ABSENT]
    points = "\n".join(f"{name.lower()} = strange_seats:{name}" for name in names)
    (about / "entry_points.txt").write_text(f"[timegpt_assets.forecasters]\n{points}\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_it_asks_for_as_many_residuals_as_the_settings_say() -> None:
    assert seated().answers(FRAMES).rows.height > 0
    strict = seated("forecast.baseline.min_residuals=100000", "forecast.challengers=[]").answers(FRAMES)
    assert strict.rows.height == 0
    assert set(strict.left_out) == {f"ridge {symbol}" for symbol in SYMBOLS}
    assert all("at least 100000" in reason for reason in strict.left_out.values())


def test_everyone_answers_by_itself_whoever_else_is_seated() -> None:
    together = seated(EVERYONE).answers(FRAMES).rows
    assert set(together["forecaster"]) == set(SHIPPED)
    assert together.filter(pl.col("forecaster") != pl.col("model")).is_empty()
    for word in SHIPPED:
        alone = seated(f"forecast.challengers=[{word}]").answers(FRAMES).rows
        # the champion is always seated
        assert set(alone["forecaster"]) == {"ridge", word}
        mine = pl.col("forecaster") == word
        assert_frame_equal(alone.filter(mine), together.filter(mine), check_exact=True, check_row_order=False)


def test_whatever_shapes_an_answer_is_in_its_hash() -> None:
    def hashes(*changed: str) -> dict[str, set[Any]]:
        rows = seated(EVERYONE, *changed).answers(FRAMES[:1]).rows
        return {str(word): set(part["request_hash"]) for (word,), part in rows.group_by("forecaster")}

    usual = hashes()
    assert len(set.union(*usual.values())) == len(SHIPPED)
    changed = {
        "ridge": "baseline.ridge=0.3",
        "zero": "zero.window_min=31",
        "climatology": "climatology.sessions=9",
        "persistence": "persistence.window_min=31",
        "size": "size.least_scale=0.3",
        "statsforecast": "statsforecast.window_min=61",
    }
    for word, setting in changed.items():
        assert {other for other, found in hashes(f"forecast.{setting}").items() if found != usual[other]} == {word}


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize("name", ["Good", "Empty", "Vandal", *AAA_ONLY, *ABSENT])
def test_a_stranger_s_forecaster_costs_itself_alone(name: str) -> None:
    word, alone = name.lower(), seated("forecast.challengers=[zero]").answers(FRAMES)
    found = seated(f"forecast.challengers=[{word},zero]").answers(FRAMES)
    others = found.rows.filter(pl.col("forecaster") != word)
    assert_frame_equal(others, alone.rows, check_exact=True, check_row_order=False)
    rows = found.rows.filter(pl.col("forecaster") == word)
    told = {key: why for key, why in found.left_out.items() if key not in alone.left_out}
    if name in ABSENT:
        assert rows.is_empty()
        assert list(told) == [word]
        assert told[word].startswith(ABSENT[name])
    elif name in AAA_ONLY:
        assert set(rows["symbol"]) == {"BBB"}
        assert told == {f"{word} AAA": AAA_ONLY[name]}
    else:
        assert set(rows["symbol"]) == (set() if name == "Empty" else set(SYMBOLS))
        assert set(told.values()) == ({"not answered"} if name == "Empty" else set())


@pytest.mark.usefixtures("strangers")
def test_the_package_s_version_is_in_the_hash(tmp_path: Path) -> None:
    def found() -> set[str]:
        rows = seated("forecast.challengers=[good]").answers(FRAMES[:1]).rows
        return set(rows.filter(pl.col("forecaster") == "good")["request_hash"])

    before, about = found(), tmp_path / "strange_seats-2.1.dist-info" / "METADATA"
    assert len(before) == 1
    about.write_text(about.read_text().replace("2.1\n", "2.2\n"))
    assert found().isdisjoint(before)


def test_without_its_package_a_seat_is_absent_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = seated("forecast.challengers=[zero]").answers(FRAMES)
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    found = seated("forecast.challengers=[statsforecast, zero]").answers(FRAMES)
    assert_frame_equal(found.rows, alone.rows, check_exact=True, check_row_order=False)
    told = {key: why for key, why in found.left_out.items() if key not in alone.left_out}
    assert told == {
        "statsforecast": "absent: ModuleNotFoundError: statsforecast is not installed. pip install "
        "timegpt-assets[statistical], or take statsforecast out of forecast.challengers."
    }


def test_without_frames_or_answers_the_columns_stay() -> None:
    for rows in (seated(EVERYONE).answers(()).rows, seated(EVERYONE).answers(framed(symbols=["CCC"])).rows):
        assert rows.is_empty()
        assert {"forecaster", "mean", "lo_95", "request_hash"} <= set(rows.columns)
