"""What features are worth: shares of what moved forecasts, of each forecaster and part by itself."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from timegpt_assets.core.models.importance import moved_most
from timegpt_assets.core.tables.models import ATTRIBUTION


def test_a_feature_s_share_is_its_size_over_all_that_are_named_whatever_the_sign() -> None:
    said = [("a", 0.3), ("b", -0.1), ("*", 5.0), ("a", -0.5), ("b", 0.1)]
    rows = [
        {"day": date(2025, 2, 3), "symbol": "AAA", "snapshot_ts": datetime(2025, 2, 3, 15, n, tzinfo=UTC), "rank": n}
        | {"forecaster": word, "part": "centre", "feature": feature, "value": None, "missing": False, "digest": "d"}
        | {"contribution": moved, "method": "contributions", "base": 0.0, "forecast": 0.0, "policy": None}
        for word in ("lightgbm", "tsmixer")
        for n, (feature, moved) in enumerate(said)
    ]
    found = moved_most(ATTRIBUTION.conformed(pl.DataFrame(rows, schema=ATTRIBUTION.schema)))
    assert set(found["forecaster"]) == {"lightgbm", "tsmixer"}
    own = dict(found.filter(forecaster="lightgbm").select("feature", "gain").iter_rows())
    assert own == pytest.approx({"a": 0.8, "b": 0.2})
    assert moved_most(ATTRIBUTION.empty()).is_empty()
