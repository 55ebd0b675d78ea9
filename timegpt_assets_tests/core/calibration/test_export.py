"""The exported models: applied by hand they give the stored forecasts; an older day never replaces a newer one."""

from datetime import date
from zoneinfo import ZoneInfo

import orjson
import polars as pl
import pytest

from timegpt_assets.core.calibration import applied, export
from timegpt_assets_tests.core.calibration.test_conformal import DAY, _sessions, forecasts, models, raw

EARLIER = _sessions(2)[0]


def document(day: date = DAY, *symbols: str, current: bytes | None = None) -> bytes:
    found = models(forecasts(_sessions(12), tuple("ABCDEF")), day=day, method="affine")
    own = found.filter(pl.col("symbol").is_in(symbols)) if symbols else found
    return export.newest(current, own, day=day, profile="demo")


def test_a_stranger_can_apply_the_document_and_gets_the_stored_forecasts() -> None:
    read = orjson.loads(document())
    assert (read["format"], read["profile"], read["day"]) == (2, "demo", DAY.isoformat())
    rows = {(m["symbol"], m["snapshot_time"], m["level"]): m for m in read["models"]}
    today = raw(forecasts([DAY]))
    stored = applied.calibrated(today, models(forecasts(_sessions(12), tuple("ABCDEF")), method="affine"))
    for row in stored.iter_rows(named=True):
        at = row["snapshot_ts"].astimezone(ZoneInfo("America/New_York")).strftime("%H:%M")
        model = rows[row["symbol"], at, 80]
        assert model["score"] == "band_50"
        unit = row["raw_q75"] - row["raw_q25"]
        centre = model["slope"] * row["raw_q50"] + model["offset"] * unit
        assert row["q10"] == pytest.approx(centre - model["half_width"] * unit)
        assert row["q90"] == pytest.approx(centre + model["half_width"] * unit)


def test_an_older_day_leaves_the_document_as_it_is_and_a_newer_one_replaces_it() -> None:
    newest, older = document(), document(EARLIER)
    assert document(EARLIER, current=newest) == newest
    assert document(current=older) == newest


def test_a_day_without_models_is_told_without_a_window_and_an_older_format_is_replaced() -> None:
    nothing = orjson.loads(export.document(models(forecasts(_sessions(12)), day=DAY), day=EARLIER, profile="demo"))
    assert (nothing["models"], nothing["window_first"], nothing["embargo_days"]) == ([], None, None)
    newest = document()
    first = orjson.dumps(orjson.loads(newest) | {"format": 1, "models": []})
    assert document(current=first) == newest, "of the same day, but of another format"
    assert orjson.loads(newest)["embargo_days"] == 1
